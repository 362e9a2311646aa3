// `ichigo bench shape`: tokens a second of a decoder, on random weights of a named shape or on a model's own.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_bench_shape_command(CLI::App& bench);

}  // namespace ichigo
