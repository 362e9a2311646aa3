#include "audio/resampler.h"

#include <soxr.h>

#include <cmath>

#include "base/error.h"

namespace ichigo {
namespace {

double checked_ratio(double from, double to) {
  require(std::isfinite(from) && std::isfinite(to) && from > 0 && to > 0, "cannot resample from ", from, " Hz to ", to,
          " Hz: both rates must be positive");
  const double ratio = to / from;
  require(ratio < 1e4 && ratio > 1e-4, "cannot resample from ", from, " Hz to ", to,
          " Hz: the rates are too far apart");
  return ratio;
}

void check(soxr_error_t error, double from, double to) {
  require(error == nullptr, "resampling from ", from, " Hz to ", to, " Hz failed: ", error == nullptr ? "" : error);
}

}  // namespace

std::vector<float> resample(std::span<const float> samples, double from, double to) {
  const double ratio = checked_ratio(from, to);
  if (from == to || samples.empty()) return {samples.begin(), samples.end()};
  std::vector<float> result(static_cast<size_t>(std::ceil(static_cast<double>(samples.size()) * ratio)));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  size_t read = 0;
  size_t written = 0;
  const soxr_error_t error = soxr_oneshot(from, to, 1, samples.data(), samples.size(), &read, result.data(),
                                          result.size(), &written, nullptr, &quality, &runtime);
  check(error, from, to);
  result.resize(written);
  return result;
}

void StreamingResampler::Close::operator()(void* soxr) const {
  soxr_delete(static_cast<soxr_t>(soxr));
}

StreamingResampler::StreamingResampler(double from, double to) : ratio_(checked_ratio(from, to)) {
  if (from == to) return;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  soxr_.reset(soxr_create(from, to, 1, &error, nullptr, &quality, &runtime));
  check(error, from, to);
}

std::vector<float> StreamingResampler::accept(std::span<const float> samples) {
  if (soxr_ == nullptr || samples.empty()) return {samples.begin(), samples.end()};
  constexpr size_t kHeldBack = 4096;  // more than what soxr keeps, which may come out now
  std::vector<float> result(static_cast<size_t>(std::ceil(static_cast<double>(samples.size()) * ratio_)) + kHeldBack);
  size_t read = 0;
  size_t written = 0;
  const soxr_error_t error = soxr_process(static_cast<soxr_t>(soxr_.get()), samples.data(), samples.size(), &read,
                                          result.data(), result.size(), &written);
  require(error == nullptr && read == samples.size(),
          "resampling failed: ", error == nullptr ? "samples were left over" : error);
  result.resize(written);
  return result;
}

}  // namespace ichigo
