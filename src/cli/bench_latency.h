// `ichigo bench latency`: from the end of a question to the first token of its answer.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_bench_latency_command(CLI::App& bench);

}  // namespace ichigo
