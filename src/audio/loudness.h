// How loud samples are, and stretches of noise of the length that is needed.
#pragma once
#include <cmath>
#include <span>
#include <vector>

#include "base/random.h"

namespace ichigo {

// The sum of the squares.
inline double energy(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return sum;
}

// The factor of so many decibels.
inline double gain_of(double db) {
  return std::pow(10.0, db / 20);
}

// `count` samples of `noise`, which is not empty, from anywhere in it; behind its end it begins again.
inline std::vector<float> stretch_of(std::span<const float> noise, size_t count, Random& random) {
  const size_t start = random.below(noise.size());
  std::vector<float> samples(count);
  for (size_t i = 0; i < count; ++i) samples[i] = noise[(start + i) % noise.size()];
  return samples;
}

}  // namespace ichigo
