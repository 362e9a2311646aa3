// The program of a core-only build: nothing but `ichigo train RECIPE.yaml [--steps N] [--seconds S]`, for a machine
// that has only libtorch. The whole program is main.cpp.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "base/interrupt.h"
#include "training/trainers.h"

namespace {

int misuse() {
  std::fputs("usage: ichigo train RECIPE.yaml [--steps N] [--seconds S]\n", stderr);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3 || count % 2 == 0 || std::string_view(arguments[1]) != "train") return misuse();
  ichigo::TrainOptions options;
  for (int i = 3; i < count; i += 2) {
    const std::string_view name = arguments[i];
    char* end = nullptr;
    const double value = std::strtod(arguments[i + 1], &end);
    if (*end != '\0' || !(value > 0)) return misuse();
    if (name == "--steps") {
      if (value != std::floor(value) || value > 1e15) return misuse();
      options.stop_after_steps = static_cast<int64_t>(value);
    } else if (name == "--seconds") {
      options.stop_after_seconds = value;
    } else {
      return misuse();
    }
  }
  try {
    ichigo::install_interrupt_handler();
    if (ichigo::train(arguments[2], options)) return 0;
    std::fputs("Run the same command again to go on.\n", stderr);
    return options.stops_early() && !ichigo::interrupted() ? 0 : 1;
  } catch (const std::exception& error) {
    const std::string_view message = error.what();  // libtorch's has a backtrace below
    std::fprintf(stderr, "ichigo: %s\n", std::string(message.substr(0, message.find('\n'))).c_str());
    return 1;
  }
}
