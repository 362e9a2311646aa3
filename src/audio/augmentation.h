// Makes a clean recording sound like life: speed, silence around it, microphone, room, background noise, gain.
// Deterministic from its generator.
#pragma once
#include <span>
#include <vector>

#include "base/random.h"

namespace ichigo {

struct AugmentationConfig {
  double probability = 0.7;                 // share of clips that are changed at all
  double min_speed = 0.9, max_speed = 1.1;  // resampling: pitch changes with it
  double max_silence_seconds = 0;           // before and after the speech, drawn from zero to this for each
  double equalizer_probability = 0;         // of the changed clips: a random smooth frequency response...
  double equalizer_db = 4;                  // ...with this standard deviation
  double min_gain_db = -12, max_gain_db = 6;
  double noise_probability = 0.5;  // of the changed clips
  double min_snr_db = 5, max_snr_db = 30;
  double room_probability = 0.25;  // synthetic exponentially decaying impulse response
  double min_room_seconds = 0.1, max_room_seconds = 0.5;
  void validate() const;  // throws Error
};

// 16 kHz samples -> 16 kHz samples. `noises`: recordings to choose from (may be empty: no noise is added).
std::vector<float> augment(std::span<const float> samples, const AugmentationConfig& config,
                           const std::vector<std::vector<float>>& noises, Random& random);

}  // namespace ichigo
