#include "audio/background.h"

#include <algorithm>
#include <cmath>

#include "audio/audio_file.h"
#include "audio/loudness.h"

namespace ichigo {
namespace {

// White noise through one pole: from rumbling to hissing.
std::vector<float> coloured(size_t count, Random& random) {
  const double pole = random.uniform(-0.9, 0.995);
  std::vector<float> samples(count);
  double last = 0;
  for (auto& sample : samples) {
    last = pole * last + random.normal();
    sample = static_cast<float>(last);
  }
  return samples;
}

void add_at(std::vector<float>& sum, const std::vector<float>& samples, double db) {
  const double loudness = energy(samples);
  if (loudness <= 0) return;
  const double gain = gain_of(db) / std::sqrt(loudness / static_cast<double>(samples.size()));
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<float>(gain * samples[i]);
}

}  // namespace

std::vector<float> background(double seconds, const std::vector<std::vector<float>>& noises, Random& random) {
  std::vector<float> sum(static_cast<size_t>(seconds * kSampleRate));
  const double loudness = random.uniform(-50, -15);
  const int layers = random.uniform() < 0.3 ? 2 : 1;
  for (int layer = 0; layer < layers; ++layer) {
    const bool recorded = !noises.empty() && random.uniform() < 0.75;
    const auto samples = recorded ? stretch_of(noises[random.below(noises.size())], sum.size(), random)
                                  : coloured(sum.size(), random);
    add_at(sum, samples, loudness - layer * random.uniform(0, 12));
  }
  for (auto& sample : sum) sample = std::clamp(sample, -1.0F, 1.0F);
  return sum;
}

}  // namespace ichigo
