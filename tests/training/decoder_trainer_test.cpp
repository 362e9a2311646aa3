// Training a tiny decoder on sound tokens: it learns, and a run stopped half way ends bit-identical to one that was
// not.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "data/token_file.h"
#include "golden.h"
#include "models/fused_model.h"
#include "temporary_folder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

class DecoderTrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = test::golden("tokenizer/tokenizer.json");
    ASSERT_TRUE(file) << "tests/golden/tokenizer is part of the repository";
    auto tokenizer = BytePairTokenizer::from_file(*file);
    LlamaConfig config;
    config.hidden_size = 32;
    config.intermediate_size = 64;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 8;
    config.vocab_size = tokenizer.vocabulary_size();
    Llama model(config);
    at::manual_seed(3);
    std::vector<TensorToWrite> weights;
    for (auto& [name, parameter] : model.hugging_face_parameters()) {
      const at::NoGradGuard no_grad;
      if (parameter.dim() == 1) {
        parameter.fill_(1);
      } else {
        parameter.normal_(0, 0.1);
      }
      weights.emplace_back(name, parameter.detach());
    }
    const auto jinja = read_file(*test::golden("tokenizer/chat_template.jinja"));
    write_language_model(folder_ / "base", {config.to_json(), tokenizer, jinja, {tokenizer.id_of("<|eot_id|>")}},
                         weights, {}, 1 << 30);
    std::string lines;
    for (int i = 0; i < 12; ++i) {
      SpeechRow row;
      row.index = i;
      row.text = i % 2 == 0 ? "yes" : "no";
      row.answer = i % 2 == 0 ? "good" : "bad";
      row.sound.assign(4 + i % 3, i % 2);
      lines += token_file_line(row);
    }
    write_file(folder_ / "rows.jsonl", lines);
  }

  std::filesystem::path recipe(const std::string& output, const std::string& more = "") {
    const auto path = folder_ / (output + ".yaml");
    write_file(path,
               concat("train: decoder\noutput: ", (folder_ / output).string(), "\nbase: ", (folder_ / "base").string(),
                      "\nsteps: 8\nstep_tokens: 120\nbatch_tokens: 64\nlearning_rate: 0.01\nwarmup_steps: 2\n"
                      "checkpoint_steps: 2\nmixture:\n  - {rows: ",
                      (folder_ / "rows.jsonl").string(), ", task: answer}\n", more));
    return path;
  }

  static std::vector<nlohmann::json> metrics(const std::filesystem::path& run) {
    std::ifstream file(run / "metrics.jsonl");
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

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
