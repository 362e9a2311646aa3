// Time spent, in milliseconds.
#pragma once
#include <chrono>

namespace ichigo {

class Stopwatch {
 public:
  // Milliseconds since the last call, or since the construction.
  double lap() {
    const auto now = Clock::now();
    const double elapsed = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return elapsed;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

}  // namespace ichigo
