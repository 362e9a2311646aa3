// Progress of long work on standard error: a bar with rate and time left on a terminal, plain lines when redirected.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace ichigo {

class Progress {
 public:
  // `total` in `unit`s ("rows", "tokens"); 0 when unknown. `start` is where resumed work begins.
  Progress(std::string label, int64_t total, std::string unit, int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows the new position; `detail` is printed behind it ("loss 2.31"). Cheap: draws at most a few times a second.
  void update(int64_t done, const std::string& detail = {});
  // Draws the last state and ends the line.
  void finish();

 private:
  void draw();
  using Clock = std::chrono::steady_clock;
  std::string label_, unit_, detail_;
  int64_t total_, start_, done_;
  bool terminal_, finished_ = false;
  Clock::time_point begin_, last_;
};

// "1 h 05 min", "2 min 03 s" or "4 s".
std::string format_duration(double seconds);

}  // namespace ichigo
