#include "audio/speech_frames.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/audio_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr int kBins = SpeechFrames::kWindow / 2 + 1;
constexpr double kBinWidth = static_cast<double>(kSampleRate) / SpeechFrames::kWindow;  // Hz
constexpr double kLowest = 94, kHighest = 7000;                                         // Hz; below is rumble and DC
constexpr double kFaintest = 1e-9;    // power in a band (1 is a sine of full scale) that counts as silence
constexpr int kMinimumBlocks = 8;     // the background is the least of so many blocks...
constexpr int kBlockFrames = 20;      // ...of so many frames: 1.6 s
constexpr double kSmoothing = 0.7;    // of the power whose minimum is looked for
constexpr double kNearMinimum = 4;    // up to so many times the minimum it still is background
constexpr double kForgetting = 0.03;  // share of a new frame in the background's mean
constexpr int kShortestPeriod = 40, kLongestPeriod = 200;  // samples: 400 to 80 Hz
constexpr int kLowestVoiceBin = 3, kVoiceBins = 48;        // 94 Hz to 1.5 kHz, where its harmonics are strong

double mel(double hertz) {
  return 2595 * std::log10(1 + hertz / 700);
}

// Bin i belongs to band[i]; -1 for none.
const std::array<int, kBins>& bands_of_bins() {
  static const auto bands = [] {
    std::array<int, kBins> result{};
    for (int bin = 0; bin < kBins; ++bin) {
      const double hertz = bin * kBinWidth;
      const double place = (mel(hertz) - mel(kLowest)) / (mel(kHighest) - mel(kLowest)) * SpeechFrames::kBands;
      result[bin] =
          hertz < kLowest || hertz > kHighest ? -1 : std::min(static_cast<int>(place), SpeechFrames::kBands - 1);
    }
    return result;
  }();
  return bands;
}

double decibels(double power) {
  return 10 * std::log10(power);
}

// Autocorrelation out of the power of the bins where the voice is, each times its frequency: else the rumble of a fan
// would look periodic.
std::vector<double> autocorrelation(const at::Tensor& power) {
  at::Tensor voice = at::zeros({kBins});
  voice.slice(0, kLowestVoiceBin, kVoiceBins).copy_(power.slice(0, kLowestVoiceBin, kVoiceBins));
  voice.mul_(at::arange(kBins));
  const at::Tensor result = at::fft_irfft(voice, SpeechFrames::kWindow).contiguous();
  const auto* values = result.const_data_ptr<float>();
  return {values, values + kLongestPeriod + 1};
}

}  // namespace

SpeechFrames::SpeechFrames() : window_(at::empty({kWindow})), samples_(at::empty({kWindow})) {
  auto* window = window_.mutable_data_ptr<float>();
  for (int i = 0; i < kWindow; ++i) {
    window[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / kWindow));
  }
  own_periodicity_.resize(kLongestPeriod + 1);
  for (int lag = 0; lag <= kLongestPeriod; ++lag) {
    for (int i = 0; i + lag < kWindow; ++i) own_periodicity_[lag] += window[i] * window[i + lag];
  }
}

const SpeechFrames::Frame& SpeechFrames::frame(int64_t index) const {
  const int64_t first = count_ - static_cast<int64_t>(frames_.size());
  require(index >= first && index < count_, "frame ", index, " is not among those remembered, ", first, " to ", count_);
  return frames_[static_cast<size_t>(index - first)];
}

void SpeechFrames::add(std::span<const float> samples) {
  const c10::NoGradGuard no_grad;
  require(samples.size() == kWindow, "a frame has ", kWindow, " samples, not ", samples.size());
  std::copy(samples.begin(), samples.end(), samples_.mutable_data_ptr<float>());
  const at::Tensor power = at::view_as_real(at::fft_rfft(samples_.mul_(window_))).square().sum(-1);
  const auto* bins = power.const_data_ptr<float>();
  constexpr double kFullScale = 1.0 * kWindow * kWindow / 16;  // of a sine behind the window, at its own bin

  Bands raw{};
  Frame added;
  double total = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    const int band = bands_of_bins()[bin];
    if (band < 0) continue;
    raw[band] += bins[bin] / kFullScale;
    total += bins[bin] / kFullScale;
  }
  for (double& value : raw) value += kFaintest;
  added.level = decibels(total + kFaintest);

  const auto correlation = autocorrelation(power);
  for (int lag = kShortestPeriod; lag <= kLongestPeriod; ++lag) {
    const double corrected = correlation[lag] / own_periodicity_[lag] * own_periodicity_[0];
    added.periodicity = std::max(added.periodicity, corrected / (correlation[0] + 1e-20));
  }
  added.periodicity = std::min(added.periodicity, 1.0);

  raw_.push_back(raw);
  if (raw_.size() > 3) raw_.pop_front();
  for (const Bands& each : raw_) {
    for (int band = 0; band < kBands; ++band) added.power[band] += each[band] / static_cast<double>(raw_.size());
  }
  learn_background(raw);
  frames_.push_back(added);
  if (frames_.size() > kRemembered) frames_.pop_front();
  ++count_;
}

void SpeechFrames::learn_background(const Bands& power) {
  if (count_ == 0) {
    smooth_ = background_ = power;
    minima_.push_back(power);
  }
  if (count_ > 0 && count_ % kBlockFrames == 0) {
    minima_.push_back(smooth_);
    if (minima_.size() > kMinimumBlocks) minima_.pop_front();
  }
  for (int band = 0; band < kBands; ++band) {
    smooth_[band] += (1 - kSmoothing) * (power[band] - smooth_[band]);
    minima_.back()[band] = std::min(minima_.back()[band], smooth_[band]);
    double least = minima_.front()[band];
    for (const Bands& block : minima_) least = std::min(least, block[band]);
    double& background = background_[band];
    const double share = std::max(kForgetting, 1.0 / static_cast<double>(count_ + 1));
    if (smooth_[band] < kNearMinimum * least) background += share * (power[band] - background);
    background = std::clamp(background, least, kNearMinimum * least);
  }
}

double SpeechFrames::prominence(int64_t index) const {
  const Frame& asked = frame(index);
  double sum = 0;
  for (int band = 0; band < kBands; ++band) {
    sum += std::max(0.0, decibels(asked.power[band] / background_[band]));
  }
  return sum / kBands;
}

}  // namespace ichigo
