// Choosing the next token from logits: greedy or drawn, with the usual filters in the order of Hugging Face
// transformers (repetition penalty, temperature, top-k, top-p). Not here: running the model.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace ichigo {

struct SamplingConfig {
  double temperature = 0;         // 0: always the most likely token (greedy)
  int64_t top_k = 0;              // draw among the k most likely tokens; 0: among all
  double top_p = 1;               // draw among the most likely tokens that together have this probability
  double repetition_penalty = 1;  // above 1: tokens seen before become less likely (Keskar et al. 2019)
  uint64_t seed = 0;
  std::vector<int64_t> stop_tokens;

  void validate() const;  // throws Error
};

class Sampler {
 public:
  explicit Sampler(SamplingConfig config);  // throws Error

  // logits [vocabulary] of the next token, `seen`: every token before it. Of equal logits the lower id comes first.
  // Throws Error when the logits are not numbers.
  int64_t sample(std::span<const float> logits, std::span<const int64_t> seen);
  bool stops(int64_t token) const;

 private:
  int64_t draw(std::span<const float> logits);

  SamplingConfig config_;
  Random random_;
  std::vector<float> penalised_;
  std::vector<int64_t> candidates_;
};

}  // namespace ichigo
