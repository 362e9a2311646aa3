// Sound in which nobody says anything to the assistant: for teaching it to say so, and for measuring whether it does.
#pragma once
#include <vector>

#include "base/random.h"

namespace ichigo {

// 16 kHz samples: stretches of `noises`, or noise of a random colour where there are none and now and then beside
// them, at a random loudness (-50 to -15 dB of full scale). Deterministic from its generator.
std::vector<float> background(double seconds, const std::vector<std::vector<float>>& noises, Random& random);

}  // namespace ichigo
