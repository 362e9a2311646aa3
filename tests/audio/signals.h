// Noises and something like a voice, for tests of what hears speech; deterministic from their seed.
#pragma once
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace ichigo::test {

// "white", "pink" (3 dB less per octave), "hum" (50 Hz with harmonics and some hiss) or "fan" (low rumble, slowly
// swelling by 2 dB, with a blade tone): 16 kHz, root mean square 1.
inline std::vector<float> steady_noise(const std::string& name, size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<double> noise(count);
  double slow[3] = {};
  for (size_t i = 0; i < count; ++i) {
    const double white = random.normal();
    const double seconds = static_cast<double>(i) / 16000;
    const double turn = 2 * std::numbers::pi * seconds;
    // Paul Kellet's economical pink filter.
    slow[0] = 0.99765 * slow[0] + white * 0.0990460;
    slow[1] = 0.96300 * slow[1] + white * 0.2965164;
    slow[2] = 0.57000 * slow[2] + white * 1.0526913;
    const double pink = slow[0] + slow[1] + slow[2] + white * 0.1848;
    if (name == "white") {
      noise[i] = white;
    } else if (name == "pink") {
      noise[i] = pink;
    } else if (name == "hum") {
      for (int k = 1; k <= 12; ++k) noise[i] += std::sin(50 * k * turn + k * k) / k;
      noise[i] += 0.05 * white;
    } else {
      require(name == "fan", "no noise is called ", name);
      noise[i] = (pink + 0.5 * slow[0]) * (1 + 0.12 * std::sin(0.7 * turn)) + 0.8 * std::sin(117 * turn);
    }
  }
  double energy = 0;
  for (const double sample : noise) energy += sample * sample;
  const double scale = 1 / std::sqrt(energy / static_cast<double>(count));
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i) result[i] = static_cast<float>(noise[i] * scale);
  return result;
}

// Vowels by an impulse every 8 ms, more or less, behind three resonances; root mean square about 0.1, four syllables a
// second with less between them. Loud from the first sample to the last.
inline std::vector<float> voice(double seconds, uint64_t seed = 1) {
  Random random(seed);
  const auto count = static_cast<size_t>(seconds * 16000);
  std::vector<double> sound(count);
  for (double at = 0; at < static_cast<double>(count);
       at += 128 * (1 + 0.1 * std::sin(at / 5000) + 0.01 * random.normal())) {
    sound[static_cast<size_t>(at)] = 1;
  }
  for (const double hertz : {700.0, 1200.0, 2600.0}) {
    const double radius = std::exp(-std::numbers::pi * 90 / 16000);
    const double turn = 2 * radius * std::cos(2 * std::numbers::pi * hertz / 16000);
    for (size_t i = 2; i < count; ++i) sound[i] = 0.2 * sound[i] + turn * sound[i - 1] - radius * radius * sound[i - 2];
  }
  double energy = 0;
  for (const double sample : sound) energy += sample * sample;
  const double scale = 0.1 / std::sqrt(energy / static_cast<double>(count));
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i) {
    const double syllable = 0.75 + 0.6 * std::cos(2 * std::numbers::pi * 4 * static_cast<double>(i) / 16000);
    result[i] = static_cast<float>(std::clamp(sound[i] * scale * syllable, -1.0, 1.0));
  }
  return result;
}

inline std::vector<float> silence(double seconds) {
  return std::vector<float>(static_cast<size_t>(seconds * 16000));
}

inline std::vector<float> joined(std::initializer_list<std::vector<float>> parts) {
  std::vector<float> result;
  for (const auto& part : parts) result.insert(result.end(), part.begin(), part.end());
  return result;
}

inline double root_mean_square(std::span<const float> samples) {
  double energy = 0;
  for (const float sample : samples) energy += static_cast<double>(sample) * sample;
  return std::sqrt(energy / static_cast<double>(samples.size()));
}

// `speech` times `gain` plus `noise` (repeated as needed) at `level` dB, where 0 is a root mean square of 1.
inline std::vector<float> mixed(std::span<const float> speech, std::span<const float> noise, double level, float gain) {
  const double scale = std::pow(10, level / 20) / root_mean_square(noise);
  std::vector<float> result(speech.size());
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = speech[i] * gain + static_cast<float>(noise[i % noise.size()] * scale);
  }
  return result;
}

// The noise is `snr` dB below samples `begin` to `end` of the speech.
inline std::vector<float> mixed_at_snr(std::span<const float> speech, size_t begin, size_t end,
                                       std::span<const float> noise, double snr) {
  const double level = 20 * std::log10(root_mean_square(speech.subspan(begin, end - begin)));
  return mixed(speech, noise, level - snr, 1);
}

}  // namespace ichigo::test
