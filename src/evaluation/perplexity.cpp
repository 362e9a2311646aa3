#include "evaluation/perplexity.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"

namespace ichigo {

double PerplexityScore::perplexity() const {
  return tokens == 0 ? 0 : std::exp(-log_likelihood / static_cast<double>(tokens));
}

PerplexityScore evaluate_perplexity(LanguageModel& model, const std::vector<int64_t>& ids, int64_t context, int64_t bos,
                                    int64_t limit, const std::function<void(const PerplexityScore&)>& report) {
  const at::NoGradGuard no_grad;
  const auto total = static_cast<int64_t>(ids.size());
  require(context >= 4, "a window of ", context, " tokens is too short to measure a perplexity: take 4 or more");
  require(total >= context, "the text has ", total, " tokens, fewer than one window of ", context,
          ": take a longer text or a smaller --context");
  const int64_t windows = limit > 0 ? std::min(limit, total / context) : total / context;
  PerplexityScore score;
  for (int64_t window = 0; window < windows; ++window) {
    at::Tensor tokens = at::tensor(at::ArrayRef(ids).slice(window * context, context), at::kLong);
    const int64_t first = context / 2, counted = context - 1 - first;
    const at::Tensor targets = tokens.narrow(0, first + 1, counted);
    if (bos >= 0) {
      tokens = tokens.clone();
      tokens[0] = bos;
    }
    KeyValueCache cache;
    const at::Tensor logits = model.logits(model.forward(tokens, cache).narrow(0, first, counted));
    const at::Tensor likely = at::log_softmax(logits, -1).gather(1, targets.unsqueeze(1));
    score.log_likelihood += likely.sum(at::kDouble).item<double>();
    score.tokens += counted;
    if (report) report(score);
  }
  return score;
}

}  // namespace ichigo
