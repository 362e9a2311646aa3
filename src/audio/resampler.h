// Sample rate conversion (soxr, high quality).
#pragma once
#include <memory>
#include <span>
#include <vector>

namespace ichigo {

// Rates in Hz. Returns about samples.size() * to / from samples.
std::vector<float> resample(std::span<const float> samples, double from, double to);

// The same for a stream: about 20 ms of what was accepted stay inside.
class StreamingResampler {
 public:
  StreamingResampler(double from, double to);
  std::vector<float> accept(std::span<const float> samples);

 private:
  struct Close {
    void operator()(void* soxr) const;
  };
  double ratio_;
  std::unique_ptr<void, Close> soxr_;  // none when both rates are the same
};

}  // namespace ichigo
