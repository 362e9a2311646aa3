// What a language model makes of texts: how likely it finds continuations of a context, and how it continues one.
// The method is that of lm-evaluation-harness: context and continuation are cut into tokens as one text; contexts that
// are too long lose their beginning.
#pragma once
#include <string>
#include <vector>

#include "models/fused_model.h"

namespace ichigo {

struct Likelihood {
  double log_likelihood = 0;  // natural, summed over the continuation's tokens
  bool greedy = false;        // each of them was the most likely one
};

// Consecutive contexts that begin alike are cheap: the KV cache keeps what they share. One thread at a time.
class TextScorer {
 public:
  // `model` must outlive it.
  explicit TextScorer(const FusedModel& model) : model_(model) {}

  // Of each continuation behind the same context. Throws Error when one has no token or is longer than the model reads.
  std::vector<Likelihood> continuations(const std::string& context, const std::vector<std::string>& continuations);
  // The same for ids; `context` must not be empty.
  Likelihood continuation(std::vector<int64_t> context, const std::vector<int64_t>& continuation);

  // The most likely tokens, up to the model's end, `max_tokens` or the first of `until`, which is left out. Throws
  // Error when `max_tokens` is more than the model reads.
  std::string generate(const std::string& context, const std::vector<std::string>& until, int64_t max_tokens);

 private:
  std::vector<int64_t> context_ids(const std::string& context) const;
  // The cache holds exactly `ids` afterwards; -> log-probabilities [vocab_size] behind them.
  const at::Tensor& read(const std::vector<int64_t>& ids);
  at::Tensor feed(const std::vector<int64_t>& ids);

  const FusedModel& model_;
  KeyValueCache cache_;
  std::vector<int64_t> held_;  // what the cache holds
  at::Tensor next_;            // log-probabilities behind held_
};

}  // namespace ichigo
