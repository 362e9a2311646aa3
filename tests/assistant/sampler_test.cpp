#include "assistant/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace ichigo {
namespace {

std::vector<float> random_logits(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<float> logits(size);
  for (auto& logit : logits) logit = static_cast<float>(3 * random.normal());
  return logits;
}

// The distribution as it is defined, by sorting everything.
std::vector<double> slow_distribution(std::vector<float> logits, const SamplingConfig& config,
                                      const std::vector<int64_t>& seen) {
  std::vector<bool> penalised(logits.size());
  for (const int64_t token : seen) {
    if (penalised[static_cast<size_t>(token)]) continue;
    penalised[static_cast<size_t>(token)] = true;
    float& logit = logits[static_cast<size_t>(token)];
    logit = static_cast<float>(logit > 0 ? logit / config.repetition_penalty : logit * config.repetition_penalty);
  }
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (config.top_k > 0 && static_cast<size_t>(config.top_k) < order.size())
    order.resize(static_cast<size_t>(config.top_k));
  std::vector<double> probability(logits.size());
  double total = 0;
  for (const size_t token : order) total += std::exp((logits[token] - logits[order[0]]) / config.temperature);
  double inside = 0;
  for (const size_t token : order) {
    if (inside >= config.top_p) break;
    probability[token] = std::exp((logits[token] - logits[order[0]]) / config.temperature) / total;
    inside += probability[token];
  }
  for (auto& p : probability) p /= inside;
  return probability;
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  Sampler sampler({});
  const std::vector<float> logits = {0.5F, 2.0F, -1.0F, 2.0F};
  EXPECT_EQ(sampler.sample(logits, {}), 1);
}

TEST(Sampler, PenaltyCountsATokenOnce) {
  Sampler sampler({.repetition_penalty = 2});
  const std::vector<float> logits = {1.0F, 3.0F, 2.0F, -0.5F};
  const std::vector<int64_t> once = {1};
  EXPECT_EQ(sampler.sample(logits, once), 2);
  const std::vector<float> close = {1.0F, 3.0F, 1.2F};
  const std::vector<int64_t> thrice = {1, 1, -7, 1};  // and a vector, which is no token
  EXPECT_EQ(sampler.sample(close, thrice), 1);  // 1.5, not 0.375
  const std::vector<float> negative = {-1.0F, -1.5F};
  const std::vector<int64_t> first = {0};
  EXPECT_EQ(sampler.sample(negative, first), 1);
}

class SamplerDistribution : public testing::TestWithParam<SamplingConfig> {};

TEST_P(SamplerDistribution, AgreesWithTheDefinition) {
  const SamplingConfig& config = GetParam();
  const std::vector<float> logits = random_logits(40, 5);
  const std::vector<int64_t> seen = {3, 17, 17, 30};
  const auto expected = slow_distribution(logits, config, seen);
  Sampler sampler(config);
  constexpr int kDraws = 100000;
  std::vector<int> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.sample(logits, seen))];
  for (size_t token = 0; token < logits.size(); ++token) {
    const double p = expected[token];
    const double deviation = std::sqrt(p * (1 - p) / kDraws);
    if (p == 0) {
      EXPECT_EQ(counts[token], 0) << token;
    } else {
      EXPECT_NEAR(static_cast<double>(counts[token]) / kDraws, p, 5 * deviation + 1e-9) << token;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, SamplerDistribution,
                         testing::Values(SamplingConfig{.temperature = 1}, SamplingConfig{.temperature = 0.6},
                                         SamplingConfig{.temperature = 2, .top_k = 5},
                                         SamplingConfig{.temperature = 1, .top_p = 0.8},
                                         SamplingConfig{.temperature = 1.5, .top_k = 12, .top_p = 0.7},
                                         SamplingConfig{.temperature = 1, .top_p = 1e-6},
                                         SamplingConfig{.temperature = 1, .top_k = 1000, .repetition_penalty = 1.5}));

TEST(Sampler, SameSeedSameTokens) {
  const auto logits = random_logits(1000, 9);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1.0, .top_p = 0.95, .seed = seed});
    std::vector<int64_t> tokens;
    for (int i = 0; i < 50; ++i) tokens.push_back(sampler.sample(logits, {}));
    return tokens;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampler, RefusesBrokenLogits) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits = random_logits(10, 1);
    logits[4] = bad;
    EXPECT_THROW(Sampler({}).sample(logits, {}), Error);
    EXPECT_THROW(Sampler({.temperature = 1}).sample(logits, {}), Error);
  }
  EXPECT_THROW(Sampler({}).sample({}, {}), Error);
  // A forbidden token is no broken one.
  std::vector<float> logits = {1, -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(Sampler({.temperature = 1}).sample(logits, {}), 0);
}

TEST(Sampler, RefusesWrongSettings) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.temperature = std::numeric_limits<double>::quiet_NaN()}), Error);
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
  EXPECT_THROW(Sampler({.top_p = 0}), Error);
  EXPECT_THROW(Sampler({.top_p = 1.5}), Error);
  EXPECT_THROW(Sampler({.repetition_penalty = 0}), Error);
}

TEST(Sampler, KnowsItsStopTokens) {
  const Sampler sampler({.stop_tokens = {2, 7}});
  EXPECT_TRUE(sampler.stops(7));
  EXPECT_FALSE(sampler.stops(3));
}

}  // namespace
}  // namespace ichigo
