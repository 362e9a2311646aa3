// The transform goes through libtorch's real FFT over blocks of frames that stay in the cache.
#include "audio/log_mel.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>

#include "audio/audio_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr int kWindow = 400;
constexpr int kBins = kWindow / 2 + 1;
constexpr int kHalf = kWindow / 2;  // samples of reflection on each side
constexpr int kBlock = 256;         // frames transformed at once
constexpr double kRate = kSampleRate;

// Slaney's mel scale: linear below 1 kHz, logarithmic above.
double mel_to_hertz(double mel) {
  constexpr double kLinear = 200.0 / 3;
  constexpr double kBreak = 1000 / kLinear;
  return mel < kBreak ? mel * kLinear : 1000 * std::exp((mel - kBreak) * std::log(6.4) / 27);
}

double hertz_to_mel(double hertz) {
  return hertz < 1000 ? hertz * 3 / 200 : 15 + std::log(hertz / 1000) * 27 / std::log(6.4);
}

at::Tensor make_filters(int bands) {
  std::vector<double> edges(bands + 2);
  const double top = hertz_to_mel(kRate / 2);
  for (int i = 0; i < bands + 2; ++i) edges[i] = mel_to_hertz(top * i / (bands + 1));
  at::Tensor filters = at::zeros({bands, kBins});
  auto* out = filters.mutable_data_ptr<float>();
  for (int band = 0; band < bands; ++band) {
    const double low = edges[band];
    const double centre = edges[band + 1];
    const double high = edges[band + 2];
    for (int bin = 0; bin < kBins; ++bin) {
      const double hertz = bin * kRate / kWindow;
      const double triangle = std::min((hertz - low) / (centre - low), (high - hertz) / (high - centre));
      out[band * kBins + bin] = static_cast<float>(std::max(0.0, triangle) * 2 / (high - low));
    }
  }
  return filters;
}

// Shared by all callers, who only read it.
const at::Tensor& cached_filters(int bands) {
  static std::mutex mutex;
  static std::map<int, at::Tensor> cache;
  const std::lock_guard lock(mutex);
  auto& filters = cache[bands];
  if (!filters.defined()) filters = make_filters(bands);
  return filters;
}

const at::Tensor& window() {
  static const at::Tensor hann = [] {
    at::Tensor result = at::empty({kWindow});
    auto* out = result.mutable_data_ptr<float>();
    for (int i = 0; i < kWindow; ++i) {
      out[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / kWindow));
    }
    return result;
  }();
  return hann;
}

void check_bands(int bands) {
  require(bands >= 1 && bands <= 512, "log-mel with ", bands, " bands: there must be 1 to 512");
}

// Samples that already hold their reflections -> log10 of the mel power, [bands, frames].
at::Tensor log_power(const std::vector<float>& padded, int64_t frames, int bands) {
  at::Tensor result = at::empty({bands, frames});
  if (frames == 0) return result;
  const at::Tensor samples =
      at::from_blob(const_cast<float*>(padded.data()), {static_cast<int64_t>(padded.size())}, at::kFloat);
  const at::Tensor overlapping = samples.as_strided({frames, kWindow}, {kHop, 1});
  const at::Tensor& filters = cached_filters(bands);
  for (int64_t start = 0; start < frames; start += kBlock) {
    const int64_t end = std::min(frames, start + kBlock);
    const at::Tensor spectrum = at::view_as_real(at::fft_rfft(overlapping.slice(0, start, end) * window()));
    const at::Tensor power = spectrum.square().sum(-1);
    result.slice(1, start, end).copy_(at::matmul(filters, power.t()).clamp_min_(1e-10).log10_());
  }
  return result;
}

// Prepends samples 200 to 1 in reversed order. Needs more than 200 samples.
void reflect_head(std::vector<float>& samples) {
  const std::vector<float> head(samples.begin() + 1, samples.begin() + 1 + kHalf);
  samples.insert(samples.begin(), head.rbegin(), head.rend());
}

// Appends the 200 samples before the last in reversed order.
void reflect_tail(std::vector<float>& samples) {
  const std::vector<float> tail(samples.end() - 1 - kHalf, samples.end() - 1);
  samples.insert(samples.end(), tail.rbegin(), tail.rend());
}

}  // namespace

at::Tensor mel_filters(int bands) {
  check_bands(bands);
  return cached_filters(bands).clone();
}

at::Tensor log_mel(std::span<const float> samples, int bands) {
  StreamingLogMel stream(bands);
  stream.accept(samples);
  stream.finish();
  return StreamingLogMel::normalize(stream.take());
}

StreamingLogMel::StreamingLogMel(int bands) : bands_(bands) {
  check_bands(bands);
}

void StreamingLogMel::accept(std::span<const float> samples) {
  require(!finished_, "log-mel: samples after the end of the clip");
  const bool started = received_ > kHalf;
  if (buffer_.empty()) buffer_.reserve(samples.size() + kWindow);
  buffer_.insert(buffer_.end(), samples.begin(), samples.end());
  received_ += static_cast<int64_t>(samples.size());
  if (!started && received_ > kHalf) reflect_head(buffer_);
}

void StreamingLogMel::finish() {
  if (finished_) return;
  finished_ = true;
  if (received_ <= kHalf) {
    buffer_.resize(kHalf + 1, 0);
    reflect_head(buffer_);
  }
  reflect_tail(buffer_);
}

at::Tensor StreamingLogMel::take() {
  const c10::NoGradGuard no_grad;
  int64_t frames = 0;
  if (finished_) {
    frames = received_ / kHop - emitted_;
  } else if (received_ > kHalf && buffer_.size() >= kWindow) {
    frames = (static_cast<int64_t>(buffer_.size()) - kWindow) / kHop + 1;
  }
  at::Tensor result = log_power(buffer_, frames, bands_);
  buffer_.erase(buffer_.begin(), buffer_.begin() + frames * kHop);
  emitted_ += frames;
  return result;
}

at::Tensor StreamingLogMel::normalize(const at::Tensor& log_power) {
  const c10::NoGradGuard no_grad;
  if (log_power.numel() == 0) return log_power.clone();
  return at::maximum(log_power, log_power.max() - 8).add_(4).div_(4);
}

at::Tensor StreamingLogMel::normalize_so_far(const at::Tensor& log_power, float& loudest) {
  const c10::NoGradGuard no_grad;
  if (log_power.numel() == 0) return log_power.clone();
  const at::Tensor peaks = log_power.amax(0).clamp_min_(std::max(loudest, kLoudestLogPower));
  const at::Tensor running = std::get<0>(peaks.cummax(0));
  loudest = running[-1].item<float>();
  return at::maximum(log_power, running - 8).add_(4).div_(4);
}

}  // namespace ichigo
