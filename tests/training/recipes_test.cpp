// Every recipe of the repository that trains something can be read; those of the paper's model say what its Table 1
// says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/recipe.h"
#include "environment.h"
#include "temporary_folder.h"
#include "training/decoder_recipe.h"
#include "training/sound_tokenizer_trainer.h"
#include "training/streaming_tokenizer_recipe.h"

namespace ichigo {
namespace {

const std::filesystem::path kRecipes = std::filesystem::path(ICHIGO_SOURCE_DIR) / "recipes";

TEST(Recipes, AllThatTrainCanBeRead) {
  const test::TemporaryFolder home;  // base weights are looked for, not read
  std::filesystem::create_directories(home / "base/whisper-tiny.en");
  const test::Environment place("ICHIGO_HOME", home.path());
  int decoders = 0, others = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRecipes)) {
    if (entry.path().extension() != ".yaml") continue;
    RecipeNode node = read_recipe(entry.path());
    if (!node.has("train")) continue;
    const std::string kind = node.text("train");
    SCOPED_TRACE(entry.path());
    if (kind == "decoder") {
      EXPECT_EQ(test::error_of([&] { DecoderRecipe::read(entry.path()); }), "");
      ++decoders;
    } else if (kind == "sound_tokenizer") {
      EXPECT_EQ(test::error_of([&] { SoundTokenizerRecipe::read(entry.path()); }), "");
      ++others;
    } else {
      EXPECT_EQ(kind, "streaming_tokenizer");
      EXPECT_EQ(test::error_of([&] { StreamingTokenizerRecipe::read(entry.path()); }), "");
      ++others;
    }
  }
  EXPECT_GE(decoders, 8);
  EXPECT_GE(others, 4);
}

// Values that stand in configurations of their own are refused with the recipe's name, too.
TEST(Recipes, AreNamedByWhatTheirValuesAreRefusedWith) {
  const test::TemporaryFolder folder;
  const auto extended = [&](const std::string& name, const std::string& key) {
    const auto path = folder / name;
    std::ofstream(path) << "extends: " << (kRecipes / name).string() << "\n" << key << "\n";
    return path;
  };
  const auto decoder = extended("mini_decoder_stage1.yaml", "learning_rate: -1");
  EXPECT_TRUE(test::error_of([&] { DecoderRecipe::read(decoder); }).starts_with(decoder.string() + ": "));
  const auto tokenizer = extended("mini_sound_tokenizer.yaml", "beta2: 2");
  EXPECT_TRUE(test::error_of([&] { SoundTokenizerRecipe::read(tokenizer); }).starts_with(tokenizer.string() + ": "));
}

// What `mini_test_inaudible` measures with is in nobody's training, also not under speech.
TEST(Recipes, TheNoisesOfTrainingAndOfMeasuringAreKeptApart) {
  int heard = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRecipes)) {
    if (entry.path().extension() != ".yaml") continue;
    RecipeNode node = read_recipe(entry.path());
    if (!node.has("synthesize") || !node.has("noise")) continue;
    const bool measures = entry.path().filename().string().starts_with("mini_test_");
    EXPECT_EQ(node.text("noise_split", ""), measures ? "unseen" : "train") << entry.path();
    ++heard;
  }
  EXPECT_GE(heard, 12);
}

TEST(Recipes, TheRivalsDifferInTheirEarOnly) {
  const auto codes = DecoderRecipe::read(kRecipes / "rival_adapter_decoder_codes.yaml");
  const auto vectors = DecoderRecipe::read(kRecipes / "rival_adapter_decoder.yaml");
  EXPECT_TRUE(codes.adapter.empty());
  EXPECT_FALSE(codes.spelling.empty());
  EXPECT_FALSE(vectors.adapter.empty());
  EXPECT_TRUE(vectors.spelling.empty());
  EXPECT_NE(codes.output, vectors.output);
  EXPECT_EQ(codes.seed, vectors.seed);
  EXPECT_EQ(codes.schedule.total_steps * codes.step_tokens, 2'048'000);
  EXPECT_EQ(vectors.schedule.total_steps * vectors.step_tokens, 2'048'000);
  ASSERT_EQ(codes.mixture.size(), vectors.mixture.size());
  for (size_t i = 0; i < codes.mixture.size(); ++i) EXPECT_EQ(codes.mixture[i].rows, vectors.mixture[i].rows);
}

TEST(Recipes, ThePapersStagesAreThoseOfItsTable) {
  struct Stage {
    const char* file;
    int64_t steps, batch, mean_tokens, warmup, longest;
    double learning_rate;
  };
  for (const Stage& stage : {Stage{"ichigo_8b_stage1.yaml", 8064, 480, 448, 50, 512, 2e-4},
                             Stage{"ichigo_8b_stage2.yaml", 7400, 256, 512, 73, 4096, 7e-5},
                             Stage{"ichigo_8b_stage3.yaml", 644, 256, 1024, 8, 4096, 1.5e-5}}) {
    SCOPED_TRACE(stage.file);
    const auto recipe = DecoderRecipe::read(kRecipes / stage.file);
    EXPECT_EQ(recipe.schedule.total_steps, stage.steps);
    EXPECT_EQ(recipe.step_tokens, stage.batch * stage.mean_tokens);
    EXPECT_EQ(recipe.schedule.warmup_steps, stage.warmup);
    EXPECT_EQ(recipe.longest_sample, stage.longest);
    EXPECT_EQ(recipe.schedule.peak, stage.learning_rate);
    EXPECT_EQ(recipe.schedule.final_share, 0);
    EXPECT_EQ(recipe.schedule.decay_steps, 0);
    EXPECT_EQ(recipe.optimizer.weight_decay, 0.005);
    EXPECT_EQ(recipe.optimizer_kind, OptimizerKind::kAdamW);
    EXPECT_TRUE(recipe.bf16);
    EXPECT_TRUE(recipe.checkpointing);
    EXPECT_EQ(recipe.loss, LossMask::kAll);
  }
}

}  // namespace
}  // namespace ichigo
