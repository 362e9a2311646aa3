// A plan against counts by hand, the published sizes, and the tensors that a real optimiser keeps.
#include "training/plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "golden.h"
#include "temporary_folder.h"
#include "weights/model_directory.h"

namespace ichigo {
namespace {

LlamaConfig tiny() {
  LlamaConfig config;
  config.hidden_size = 8, config.intermediate_size = 12, config.num_hidden_layers = 2;
  config.num_attention_heads = 2, config.num_key_value_heads = 1, config.head_dim = 4;
  config.vocab_size = 20;
  return config;
}

DecoderRecipe recipe_of(int64_t steps, int64_t step_tokens, int64_t longest) {
  DecoderRecipe recipe;
  recipe.schedule.total_steps = steps, recipe.step_tokens = step_tokens, recipe.longest_sample = longest;
  return recipe;
}

TEST(Plan, WorkIsThatCountedByHand) {
  // A layer: q 8x8, k and v 4x8, o 8x8, gate and up 12x8, down 8x12, two norms of 8. Head 20x8 (tied), norm 8.
  const int64_t layer = 64 + 32 + 32 + 64 + 96 + 96 + 96 + 16, parameters = 2 * layer + 160 + 8;
  ASSERT_EQ(tiny().parameters(), parameters);
  auto recipe = recipe_of(3, 10, 5);  // 30 tokens: six samples of 5
  int64_t attention = 0;
  for (int sample = 0; sample < 6; ++sample) {
    for (int token = 0; token < 5; ++token) {
      for (int key = 0; key <= token; ++key) {
        const int64_t score = 2 * 8, weighted = 2 * 8;  // both heads of 4: a multiplication and an addition each
        attention += 2 * 3 * (score + weighted);        // two layers; the gradient is twice the forward pass
      }
    }
  }
  PlannedWork work = planned_work(recipe, tiny());
  EXPECT_DOUBLE_EQ(work.matrices, static_cast<double>(6 * parameters * 30));
  EXPECT_DOUBLE_EQ(work.attention, static_cast<double>(attention));
  EXPECT_EQ(work.recomputed, 0);
  recipe.checkpointing = true;
  work = planned_work(recipe, tiny());
  EXPECT_DOUBLE_EQ(work.recomputed, static_cast<double>(2 * 2 * layer * 30) + static_cast<double>(attention) / 3);
}

TEST(Plan, MemoryIsWhatTheTensorsTake) {
  for (const bool bf16 : {true, false}) {
    for (const auto kind : {OptimizerKind::kAdamW, OptimizerKind::kLion, OptimizerKind::kAdamMini}) {
      auto recipe = recipe_of(1, 100, 50);
      recipe.bf16 = bf16, recipe.optimizer_kind = kind;
      const Llama model(tiny(), at::TensorOptions().dtype(bf16 ? at::kBFloat16 : at::kFloat));
      const auto parameters = model.hugging_face_parameters();
      double weights = 0, state = 0;
      for (const auto& [_, parameter] : parameters) weights += static_cast<double>(parameter.nbytes());
      const auto optimizer = make_optimizer(kind, parameters, {}, tiny().head_dim);
      for (const auto& [name, tensor] : optimizer->state()) {
        if (name != "steps" && (bf16 || !name.ends_with(".master"))) state += static_cast<double>(tensor.nbytes());
      }
      const PlannedMemory memory = planned_memory(recipe, tiny(), 1);
      EXPECT_DOUBLE_EQ(memory.weights, weights);
      EXPECT_DOUBLE_EQ(memory.masters + memory.optimizer, state);
      EXPECT_DOUBLE_EQ(memory.gradients, 4.0 * static_cast<double>(tiny().parameters()));
      EXPECT_EQ(memory.whole_weights, 0);
      const PlannedMemory half = planned_memory(recipe, tiny(), 2);
      EXPECT_DOUBLE_EQ(2 * (half.weights + half.masters + half.gradients + half.optimizer),
                       memory.weights + memory.masters + memory.gradients + memory.optimizer);
      EXPECT_EQ(half.activations, memory.activations);
      EXPECT_LT(memory.checkpointed_activations, memory.activations);
    }
  }
}

TEST(Plan, OfThePapersModel) {
  const auto recipe = DecoderRecipe::read(std::filesystem::path(ICHIGO_SOURCE_DIR) / "recipes/ichigo_8b_stage1.yaml");
  const PlannedModel model = planned_model(recipe);
  EXPECT_EQ(model.config.vocab_size, 128771);
  EXPECT_EQ(model.config.parameters(), 8030261248 + 2 * 515 * 4096);
  EXPECT_TRUE(model.from_shape);
  const double gigabyte = 1e9;
  // Sixteen bytes a parameter and two for the copy in bfloat16, beside what a batch needs.
  EXPECT_GT(planned_memory(recipe, model.config, 1).peak(true), 18 * 8.03 * gigabyte);
  const auto ranks = fewest_ranks(recipe, model.config, 48 * gigabyte);
  ASSERT_TRUE(ranks.has_value());
  EXPECT_LE(planned_memory(recipe, model.config, *ranks).peak(true), 48 * gigabyte);
  EXPECT_GT(planned_memory(recipe, model.config, *ranks - 1).peak(true), 48 * gigabyte);
  EXPECT_FALSE(fewest_ranks(recipe, model.config, 1 * gigabyte).has_value());
}

TEST(Plan, NeedsTheBasesConfigurationAlone) {
  const test::TemporaryFolder folder;
  auto recipe = recipe_of(1, 100, 50);
  recipe.base = folder.path();
  recipe.codes = 16;
  write_file(folder / "config.json", tiny().to_json().dump());
  const PlannedModel model = planned_model(recipe);
  EXPECT_EQ(model.config.vocab_size, 20 + 16 + 3);
  EXPECT_EQ(model.new_rows, 19);
  EXPECT_FALSE(model.from_shape);

  // With its vocabulary, which already has the sound tokens.
  std::filesystem::copy_file(*test::golden("tokenizer/tokenizer.json"), folder / "tokenizer.json");
  const auto vocabulary = open_vocabulary(folder.path()).vocabulary_size();
  EXPECT_EQ(planned_model(recipe).config.vocab_size, vocabulary);

  recipe.base = folder / "nowhere";
  EXPECT_CONTAINS(test::error_of([&] { planned_model(recipe); }), "\"shape\"");
  recipe.shape = "llama-9";
  EXPECT_CONTAINS(test::error_of([&] { planned_model(recipe); }), "unknown shape");
}

}  // namespace
}  // namespace ichigo
