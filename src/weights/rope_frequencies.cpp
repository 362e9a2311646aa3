#include "weights/rope_frequencies.h"

#include <cmath>
#include <numbers>

namespace ichigo {

std::vector<float> rope_frequencies(int64_t head_dim, double theta, const std::optional<RopeScaling>& scaling) {
  std::vector<float> frequencies(head_dim / 2);
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    float frequency = 1.0F / std::pow(static_cast<float>(theta), exponent);
    if (scaling) {
      const double wavelength = 2 * std::numbers::pi / frequency;
      const auto context = static_cast<double>(scaling->original_max_position_embeddings);
      if (wavelength > context / scaling->low_freq_factor) {
        frequency = static_cast<float>(frequency / scaling->factor);
      } else if (wavelength > context / scaling->high_freq_factor) {
        const double smooth =
            (context / wavelength - scaling->low_freq_factor) / (scaling->high_freq_factor - scaling->low_freq_factor);
        frequency = static_cast<float>((1 - smooth) * frequency / scaling->factor + smooth * frequency);
      }
    }
    frequencies[i] = frequency;
  }
  return frequencies;
}

std::vector<float> rope_divisors(int64_t head_dim, double theta, const RopeScaling& scaling) {
  std::vector<float> divisors = rope_frequencies(head_dim, theta, {});
  const auto scaled = rope_frequencies(head_dim, theta, scaling);
  for (size_t i = 0; i < divisors.size(); ++i) divisors[i] /= scaled[i];
  return divisors;
}

}  // namespace ichigo
