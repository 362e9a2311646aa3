// `ichigo bench`: how fast this machine answers and computes.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_bench_command(CLI::App& app);

}  // namespace ichigo
