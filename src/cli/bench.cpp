#include "cli/bench.h"

#include <CLI/CLI.hpp>

#include "cli/bench_latency.h"
#include "cli/bench_shape.h"

namespace ichigo {

void add_bench_command(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Measure how fast this machine answers and computes");
  command->require_subcommand(1);
  add_bench_latency_command(*command);
  add_bench_shape_command(*command);
}

}  // namespace ichigo
