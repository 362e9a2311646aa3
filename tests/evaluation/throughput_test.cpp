#include "evaluation/throughput.h"

#include <gtest/gtest.h>

#include "weights/files.h"

namespace ichigo {
namespace {

TEST(Throughput, NamedShapesAreThePublishedModels) {
  EXPECT_NEAR(static_cast<double>(named_shape("smollm2-135m").parameters()), 134.5e6, 0.1e6);
  EXPECT_NEAR(static_cast<double>(named_shape("llama-3.2-1b").parameters()), 1235.8e6, 0.1e6);
  EXPECT_NEAR(static_cast<double>(named_shape("llama-3.1-8b").parameters()), 8030.3e6, 0.1e6);
  test::expect_error([] { named_shape("gpt-2"); }, "use smollm2-135m, llama-3.2-1b or llama-3.1-8b");
}

TEST(Throughput, CountsTokensAndShares) {
  LlamaConfig config;
  config.num_hidden_layers = 2;
  config.vocab_size = 1000;
  const auto model = random_llama(config, PackedTypes::parse("q8_0"));
  const Throughput result = measure_throughput(*model, config, {.prompt_tokens = 20, .answer_tokens = 3, .repeats = 1});
  EXPECT_GT(result.prefill_tokens_per_s, 0);
  // A token reads every weight once, and multiplies and adds with every parameter but the embedding's.
  const double read = result.decode_tokens_per_s * static_cast<double>(result.weight_bytes);
  EXPECT_NEAR(result.share_of_bandwidth, read / (result.memory_bandwidth * 1e9), 1e-3 * result.share_of_bandwidth);
  // Q8_0 has 34 bytes for 32 weights.
  EXPECT_NEAR(static_cast<double>(result.weight_bytes), static_cast<double>(config.parameters()) * 34 / 32, 2e4);
  test::expect_error([&] { measure_throughput(*model, config, {.prompt_tokens = 0}); }, "at least one token");
}

TEST(Throughput, TellsBeforehandThatAShapeIsTooLarge) {
  LlamaConfig config = named_shape("llama-3.1-8b");
  config.num_hidden_layers = 100000;
  test::expect_error([&] { random_llama(config, PackedTypes::parse("q4_0")); }, "MiB are free");
}

}  // namespace
}  // namespace ichigo
