// Training a tiny decoder on sound tokens: it learns, and a run stopped half way ends bit-identical to one that was
// not.
#include <gtest/gtest.h>

#include <fstream>

#include "temporary_folder.h"
#include "tiny_decoder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

class DecoderTrainerTest : public testing::Test {
 protected:
  void SetUp() override { test::write_tiny_decoder(folder_.path()); }
  std::filesystem::path recipe(const std::string& output, const std::string& more = "") {
    return test::tiny_recipe(folder_.path(), output, more);
  }
  static std::vector<nlohmann::json> metrics(const std::filesystem::path& run) { return test::metrics_of(run); }

  test::TemporaryFolder folder_;
};

TEST_F(DecoderTrainerTest, StoppedAndResumedEndsBitIdentical) {
  train(recipe("whole"));
  train(recipe("stopped"), {.stop_after_steps = 3});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/model"));
  // As after a kill: a line of a step that the checkpoint does not have, and a checkpoint cut short.
  std::ofstream(folder_ / "stopped/metrics.jsonl", std::ios::app) << "{\"step\":3,\"loss\":0}\n";
  std::filesystem::create_directories(folder_ / "stopped/checkpoint-000007.part");
  train(recipe("stopped"), {.stop_after_steps = 2});
  train(recipe("stopped"));
  EXPECT_EQ(read_file(folder_ / "whole/model/model.safetensors"),
            read_file(folder_ / "stopped/model/model.safetensors"));
  const auto whole = metrics(folder_ / "whole"), stopped = metrics(folder_ / "stopped");
  ASSERT_EQ(whole.size(), 8U);
  ASSERT_EQ(stopped.size(), 8U);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(whole[i].at("loss"), stopped[i].at("loss")) << i;
}

TEST_F(DecoderTrainerTest, Learns) {
  train(recipe("run", "activation_checkpointing: true\n"));
  const auto lines = metrics(folder_ / "run");
  EXPECT_LT(lines.back().at("loss").get<double>(), 0.7 * lines.front().at("loss").get<double>());
}

TEST_F(DecoderTrainerTest, LearnsWithEachOptimiser) {
  for (const std::string name : {"lion", "adam_mini"}) {
    train(recipe(name, "optimizer: " + name + "\nletter_loss: {weight: 0.5, layer: 0}\n"), {.stop_after_steps = 4});
    train(recipe(name, "optimizer: " + name + "\nletter_loss: {weight: 0.5, layer: 0}\n"));
    const auto lines = metrics(folder_ / name);
    EXPECT_LT(lines.back().at("loss").get<double>(), 0.8 * lines.front().at("loss").get<double>()) << name;
  }
}

TEST_F(DecoderTrainerTest, CheckpointedActivationsChangeNothing) {
  train(recipe("kept", "bf16: false\n"));
  train(recipe("recomputed", "bf16: false\nactivation_checkpointing: true\n"));
  EXPECT_EQ(read_file(folder_ / "kept/model/model.safetensors"),
            read_file(folder_ / "recomputed/model/model.safetensors"));
}

TEST_F(DecoderTrainerTest, LearnsToSpellBesideTheText) {
  train(recipe("first", "letter_loss: {weight: 0.5, layer: 0}\n"));
  const auto start = (folder_ / "first/letter_loss.safetensors").string();
  train(recipe("second", "letter_loss: {weight: 0.5, layer: 0, start: " + start + "}\n"));
  const auto first = metrics(folder_ / "first"), second = metrics(folder_ / "second");
  EXPECT_LT(first.back().at("loss").get<double>(), 0.7 * first.front().at("loss").get<double>());
  EXPECT_LT(first.back().at("letter_loss").get<double>(), 0.8 * first.front().at("letter_loss").get<double>());
  EXPECT_NE(second.front().at("letter_loss"), first.front().at("letter_loss"));
}

TEST_F(DecoderTrainerTest, SaysWhatIsWrongWithTheRecipe) {
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("a", "lerning_rate: 1\n")); }), "learning_rate");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("b", "longest_sample: -1\n")); }), "longest_sample");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("d", "letter_loss: {weight: 1, layer: 2}\n")); }), "0 to 1");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("e", "optimizer: adam\n")); }), "adamw, lion or adam_mini");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("c", "loss: everything\n")); }), "everything");
}

}  // namespace
}  // namespace ichigo
