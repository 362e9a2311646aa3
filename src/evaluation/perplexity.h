// How well a language model predicts a text, as llama.cpp measures it (llama-perplexity): windows one behind another,
// of which the second half counts, so that every counted token has at least half a window before it.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "models/llama.h"

namespace ichigo {

struct PerplexityScore {
  double log_likelihood = 0;  // natural, summed over the counted tokens
  int64_t tokens = 0;         // that count
  double perplexity() const;
};

// `ids` of the whole text; what does not fill a window of `context` tokens is left out. `bos`: the id that takes the
// first place of every window, or -1. `report`, if any, is told of the score after each window; the first `limit`
// windows, or all when it is 0. Throws Error when the text is shorter than a window.
PerplexityScore evaluate_perplexity(LanguageModel& model, const std::vector<int64_t>& ids, int64_t context, int64_t bos,
                                    int64_t limit, const std::function<void(const PerplexityScore&)>& report = {});

}  // namespace ichigo
