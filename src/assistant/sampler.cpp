#include "assistant/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace ichigo {

void SamplingConfig::validate() const {
  require(std::isfinite(temperature) && temperature >= 0, "the temperature must be 0 (greedy) or more, not ",
          temperature);
  require(top_k >= 0, "top-k must be 0 (all tokens) or more, not ", top_k);
  require(top_p > 0 && top_p <= 1, "top-p must be above 0 and at most 1, not ", top_p);
  require(std::isfinite(repetition_penalty) && repetition_penalty > 0, "the repetition penalty must be above 0, not ",
          repetition_penalty);
}

Sampler::Sampler(SamplingConfig config) : config_(std::move(config)), random_(config_.seed) {
  config_.validate();
}

bool Sampler::stops(int64_t token) const {
  return std::ranges::find(config_.stop_tokens, token) != config_.stop_tokens.end();
}

int64_t Sampler::sample(std::span<const float> logits, std::span<const int64_t> seen) {
  require(!logits.empty(), "the model gave no logits");
  if (config_.repetition_penalty != 1) {
    penalised_.assign(logits.begin(), logits.end());
    for (const int64_t token : seen) {
      if (token < 0) continue;  // heard as a vector
      const float logit = logits[static_cast<size_t>(token)];
      const auto penalty = static_cast<float>(config_.repetition_penalty);
      penalised_[static_cast<size_t>(token)] = logit > 0 ? logit / penalty : logit * penalty;
    }
    logits = penalised_;
  }
  // A NaN anywhere makes the sum one.
  const float sum = std::accumulate(logits.begin(), logits.end(), 0.0F);
  const auto best = std::ranges::max_element(logits);
  require(!std::isnan(sum) && std::isfinite(*best),
          "the model gave logits that are no numbers: its weights are broken");
  if (config_.temperature == 0 || config_.top_k == 1) return best - logits.begin();
  return draw(logits);
}

int64_t Sampler::draw(std::span<const float> logits) {
  candidates_.resize(logits.size());
  std::iota(candidates_.begin(), candidates_.end(), 0);
  const auto before = [&](int64_t a, int64_t b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto size = static_cast<int64_t>(logits.size());
  const int64_t kept = config_.top_k == 0 ? size : std::min(config_.top_k, size);
  if (kept < size) std::nth_element(candidates_.begin(), candidates_.begin() + kept - 1, candidates_.end(), before);
  candidates_.resize(static_cast<size_t>(kept));

  const float highest = logits[static_cast<size_t>(*std::ranges::min_element(candidates_, before))];
  const auto weight = [&](int64_t token) {
    return std::exp((static_cast<double>(logits[static_cast<size_t>(token)]) - highest) / config_.temperature);
  };
  double total = 0;
  for (const int64_t token : candidates_) total += weight(token);

  // Likeliest first off a heap: a draw rarely looks beyond a few of them.
  const auto after = [&](int64_t a, int64_t b) { return before(b, a); };
  auto end = candidates_.end();
  std::make_heap(candidates_.begin(), end, after);
  const double nucleus = config_.top_p * total;
  double inside = 0;
  const double uniform = random_.uniform();
  if (config_.top_p < 1) {
    // The nucleus has to be known before a point of it can be drawn.
    while (end != candidates_.begin() && inside < nucleus) {
      inside += weight(candidates_.front());
      std::pop_heap(candidates_.begin(), end--, after);
    }
    std::reverse(end, candidates_.end());
    candidates_.erase(candidates_.begin(), end);
    double point = uniform * inside;
    for (const int64_t token : candidates_) {
      if ((point -= weight(token)) < 0) return token;
    }
    return candidates_.back();
  }
  double point = uniform * total;
  while (end - candidates_.begin() > 1) {
    const int64_t token = candidates_.front();
    if ((point -= weight(token)) < 0) return token;
    std::pop_heap(candidates_.begin(), end--, after);
  }
  return candidates_.front();
}

}  // namespace ichigo
