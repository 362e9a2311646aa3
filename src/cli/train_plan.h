// `ichigo train --plan`: what a training will take, printed.
#pragma once
#include <filesystem>

namespace ichigo {

struct PlanOptions {
  int64_t ranks = 1;
  double device_memory = 0;  // GiB of one rank; 0: not said
  double peak = 0;           // TFLOP/s of one rank; 0: this machine's, measured
  double share = 0;          // of the peak that training reaches, 0 to 1; 0: the default of its kind
  bool json = false;
};

// Starts nothing. Throws Error.
void print_plan(const std::filesystem::path& recipe, const PlanOptions& options);

}  // namespace ichigo
