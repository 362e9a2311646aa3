#include "audio/resampler.h"

#include <soxr.h>

#include <cmath>

#include "base/error.h"

namespace ichigo {

std::vector<float> resample(std::span<const float> samples, double from, double to) {
  require(std::isfinite(from) && std::isfinite(to) && from > 0 && to > 0, "cannot resample from ", from, " Hz to ", to,
          " Hz: both rates must be positive");
  if (from == to || samples.empty()) return {samples.begin(), samples.end()};
  const double ratio = to / from;
  require(ratio < 1e4 && ratio > 1e-4, "cannot resample from ", from, " Hz to ", to,
          " Hz: the rates are too far apart");
  std::vector<float> result(static_cast<size_t>(std::ceil(static_cast<double>(samples.size()) * ratio)));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  size_t read = 0;
  size_t written = 0;
  const soxr_error_t error = soxr_oneshot(from, to, 1, samples.data(), samples.size(), &read, result.data(),
                                          result.size(), &written, nullptr, &quality, &runtime);
  require(error == nullptr, "resampling from ", from, " Hz to ", to, " Hz failed: ", error == nullptr ? "" : error);
  result.resize(written);
  return result;
}

}  // namespace ichigo
