#include "evaluation/perplexity.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "weights/weight_file.h"

namespace ichigo {
namespace {

TEST(Perplexity, CountsTheSecondHalfOfEveryWindow) {
  ICHIGO_GOLDEN_OR_SKIP(config, "llama/llama3.2-tied/config.json");
  const auto folder = config.parent_path();
  const auto model =
      load_llama(LlamaConfig::from_json(nlohmann::json::parse(read_file(config))), *open_weights(folder), at::kFloat);
  const auto golden = open_weights(folder / "golden.safetensors");
  const at::Tensor ids = golden->load("ids").to(at::kLong), logits = golden->load("logits_fp32").to(at::kFloat);
  ASSERT_EQ(ids.size(1), 96);
  // Both golden sequences, one behind the other, are two windows of 96 with a rest.
  std::vector<int64_t> text(ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel());
  text.resize(text.size() + 95);
  double expected = 0;
  for (int64_t window = 0; window < 2; ++window) {
    const at::Tensor likely = at::log_softmax(logits[window], -1);
    for (int64_t i = 48; i < 95; ++i) expected += likely[i][ids[window][i + 1].item<int64_t>()].item<double>();
  }
  int reports = 0;
  const auto score = evaluate_perplexity(*model, text, 96, -1, 0, [&](const PerplexityScore&) { ++reports; });
  EXPECT_EQ(reports, 2);
  EXPECT_EQ(score.tokens, 2 * 47);
  EXPECT_NEAR(score.log_likelihood, expected, 1e-3);
  EXPECT_NEAR(score.perplexity(), std::exp(-expected / 94), 1e-3 * score.perplexity());
  EXPECT_EQ(evaluate_perplexity(*model, text, 96, -1, 1).tokens, 47);
  EXPECT_NE(evaluate_perplexity(*model, text, 96, 5, 0).log_likelihood, score.log_likelihood);
  EXPECT_THROW(evaluate_perplexity(*model, {1, 2, 3}, 96, -1, 0), Error);
}

}  // namespace
}  // namespace ichigo
