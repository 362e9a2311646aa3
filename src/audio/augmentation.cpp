// The usual recipe for robust recognisers (Ko et al., "Audio augmentation for speech recognition", 2015: speed
// perturbation; reverberation and additive noise), with a synthetic room instead of measured ones.
#include "audio/augmentation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "audio/audio_file.h"
#include "audio/loudness.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr double kRate = kSampleRate;

// Band-limited interpolation with a Hann-windowed sinc (J. O. Smith, "Digital audio resampling").
std::vector<float> change_speed(std::span<const float> samples, double speed) {
  if (speed == 1) return {samples.begin(), samples.end()};
  constexpr int kReach = 16;    // input samples on each side
  constexpr int kPhases = 512;  // tabulated positions between two input samples
  const double cutoff = std::min(1.0, 1.0 / speed);
  std::vector<float> table((kPhases + 1) * 2 * kReach);
  for (int phase = 0; phase <= kPhases; ++phase) {
    for (int tap = 0; tap < 2 * kReach; ++tap) {
      const double distance = tap - kReach + 1 - static_cast<double>(phase) / kPhases;
      const double x = std::numbers::pi * distance * cutoff;
      const double sinc = std::abs(x) < 1e-9 ? 1 : std::sin(x) / x;
      const double hann = 0.5 + 0.5 * std::cos(std::numbers::pi * distance / kReach);
      table[phase * 2 * kReach + tap] = static_cast<float>(cutoff * sinc * hann);
    }
  }
  std::vector<float> padded(samples.size() + 2 * kReach + 2);
  std::copy(samples.begin(), samples.end(), padded.begin() + kReach);
  std::vector<float> result(static_cast<size_t>(static_cast<double>(samples.size()) / speed));
  for (size_t i = 0; i < result.size(); ++i) {
    const double position = static_cast<double>(i) * speed;
    const auto whole = static_cast<size_t>(position);
    const auto phase = static_cast<size_t>(std::lround((position - static_cast<double>(whole)) * kPhases));
    const float* taps = table.data() + phase * 2 * kReach;
    const float* from = padded.data() + whole + 1;
    float sum = 0;
    for (int tap = 0; tap < 2 * kReach; ++tap) sum += taps[tap] * from[tap];
    result[i] = sum;
  }
  return result;
}

std::vector<float> add_silence(std::span<const float> samples, double before, double after) {
  const auto lead = static_cast<size_t>(before * kRate);
  std::vector<float> result(lead + samples.size() + static_cast<size_t>(after * kRate));
  std::ranges::copy(samples, result.begin() + static_cast<std::ptrdiff_t>(lead));
  return result;
}

// The samples convolved with a response given as its spectrum at `size` points. The loudness stays what it was.
void filter(std::vector<float>& samples, const at::Tensor& response_spectrum, int64_t size) {
  const auto count = static_cast<int64_t>(samples.size());
  const at::Tensor dry = at::from_blob(samples.data(), {count}, at::kFloat);
  const at::Tensor spectrum = at::fft_rfft(dry, size) * response_spectrum;
  const at::Tensor wet = at::fft_irfft(spectrum, size).slice(0, 0, count).contiguous();
  const std::span<const float> wet_samples(wet.const_data_ptr<float>(), samples.size());
  const double wet_energy = energy(wet_samples);
  const double gain = wet_energy > 0 ? std::sqrt(energy(samples) / wet_energy) : 1;
  std::transform(wet_samples.begin(), wet_samples.end(), samples.begin(),
                 [gain](float sample) { return static_cast<float>(sample * gain); });
}

// Another microphone: gains in decibels drawn for an octave each from 60 Hz up, straight lines between them.
void equalize(std::vector<float>& samples, double deviation_db, Random& random) {
  if (samples.empty()) return;
  constexpr double kLowest = 60;
  std::array<double, 8> gains;
  for (double& gain : gains) gain = deviation_db * random.normal();
  const auto size = static_cast<int64_t>(std::bit_ceil(samples.size()));
  at::Tensor response = at::empty({size / 2 + 1});
  auto* values = response.mutable_data_ptr<float>();
  for (int64_t i = 0; i <= size / 2; ++i) {
    const double frequency = kRate * static_cast<double>(i) / static_cast<double>(size);
    const double octave = std::clamp(std::log2(std::max(frequency, 1.0) / kLowest), 0.0, gains.size() - 1.0);
    const auto low = std::min(static_cast<size_t>(octave), gains.size() - 2);
    const double part = octave - static_cast<double>(low);
    values[i] = static_cast<float>(gain_of(gains[low] * (1 - part) + gains[low + 1] * part));
  }
  filter(samples, response, size);
}

// The direct path, then noise that has decayed by 60 dB after `seconds`.
void add_room(std::vector<float>& samples, double seconds, Random& random) {
  if (samples.empty()) return;
  const auto length = static_cast<int64_t>(seconds * kRate);
  const double tail_energy = std::pow(10.0, -random.uniform(0, 12) / 10);  // of the direct path's
  const int64_t first = static_cast<int64_t>(random.uniform(0.001, 0.005) * kRate);
  at::Tensor response = at::zeros({std::max<int64_t>(length, 1)});
  auto* taps = response.mutable_data_ptr<float>();
  for (int64_t i = first; i < length; ++i) {
    taps[i] =
        static_cast<float>(random.normal() * gain_of(-60.0 * static_cast<double>(i) / static_cast<double>(length)));
  }
  const double tail = energy({taps, static_cast<size_t>(length)});
  if (tail > 0) response.mul_(std::sqrt(tail_energy / tail));
  taps[0] = 1;

  const auto size = static_cast<int64_t>(std::bit_ceil(samples.size() + static_cast<size_t>(length)));
  filter(samples, at::fft_rfft(response, size), size);
}

void add_noise(std::vector<float>& samples, std::span<const float> noise, double snr_db, Random& random) {
  if (noise.empty()) return;
  const std::vector<float> part = stretch_of(noise, samples.size(), random);
  const double noise_energy = energy(part);
  if (noise_energy <= 0) return;
  const double gain = std::sqrt(energy(samples) / noise_energy) * gain_of(-snr_db);
  for (size_t i = 0; i < part.size(); ++i) samples[i] += static_cast<float>(gain * part[i]);
}

}  // namespace

void AugmentationConfig::validate() const {
  const auto share = [](double value, const char* name) {
    require(value >= 0 && value <= 1, "augmentation: ", name, " is ", value, ", it must be between 0 and 1");
  };
  const auto range = [](double low, double high, double least, double most, const char* name) {
    require(low >= least && low <= high && high <= most, "augmentation: ", name, " goes from ", low, " to ", high,
            ", it must rise and stay between ", least, " and ", most);
  };
  share(probability, "probability");
  share(noise_probability, "noise_probability");
  share(room_probability, "room_probability");
  share(equalizer_probability, "equalizer_probability");
  range(0, equalizer_db, 0, 30, "equalizer_db");
  range(0, max_silence_seconds, 0, 30, "silence_seconds");
  range(min_speed, max_speed, 0.5, 2, "speed");
  range(min_gain_db, max_gain_db, -60, 60, "gain_db");
  range(min_snr_db, max_snr_db, -60, 120, "snr_db");
  range(min_room_seconds, max_room_seconds, 0.005, 5, "room_seconds");
}

std::vector<float> augment(std::span<const float> samples, const AugmentationConfig& config,
                           const std::vector<std::vector<float>>& noises, Random& random) {
  const c10::NoGradGuard no_grad;
  if (random.uniform() >= config.probability) return {samples.begin(), samples.end()};
  const double speed = random.uniform(config.min_speed, config.max_speed);
  std::vector<float> result = change_speed(samples, speed);
  if (config.max_silence_seconds > 0) {
    const double before = random.uniform(0, config.max_silence_seconds);
    result = add_silence(result, before, random.uniform(0, config.max_silence_seconds));
  }
  if (random.uniform() < config.equalizer_probability) equalize(result, config.equalizer_db, random);
  if (random.uniform() < config.room_probability) {
    add_room(result, random.uniform(config.min_room_seconds, config.max_room_seconds), random);
  }
  if (random.uniform() < config.noise_probability && !noises.empty()) {
    const auto& noise = noises[random.below(noises.size())];
    add_noise(result, noise, random.uniform(config.min_snr_db, config.max_snr_db), random);
  }
  const double gain = gain_of(random.uniform(config.min_gain_db, config.max_gain_db));
  for (auto& sample : result) sample = static_cast<float>(std::clamp(sample * gain, -1.0, 1.0));
  return result;
}

}  // namespace ichigo
