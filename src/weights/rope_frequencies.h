// The frequencies of rotary position embedding as model configurations describe them (Su et al. 2021; Llama 3.1's
// scaling as transformers' "llama3" rope type defines it).
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

namespace ichigo {

struct RopeScaling {  // Llama 3.1: low frequencies are divided by `factor`, with a smooth passage between
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
};

// Radians per position of the pairs i in [0, head_dim / 2): theta^(-2i / head_dim), scaled.
std::vector<float> rope_frequencies(int64_t head_dim, double theta, const std::optional<RopeScaling>& scaling);
// What scaling divides each plain frequency by: the tensor "rope_freqs.weight" of GGUF files.
std::vector<float> rope_divisors(int64_t head_dim, double theta, const RopeScaling& scaling);

}  // namespace ichigo
