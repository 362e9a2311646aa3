// Training a tiny decoder on sound tokens: it learns, and a run stopped half way ends bit-identical to one that was
// not.
#include <gtest/gtest.h>

#include <fstream>

#include "temporary_folder.h"
#include "tiny_decoder.h"
#include "training/trainers.h"
#include "weights/weight_file.h"

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

TEST_F(DecoderTrainerTest, GoesOnOnlyFromItsOwnCheckpoints) {
  const auto stopped = recipe("run");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = read_file(stopped);
    text.replace(text.find(from), from.size(), to);
    write_file(folder_ / "changed.yaml", text);
    return test::error_of([&] { train(folder_ / "changed.yaml", {.stop_after_steps = 1}); });
  };
  train(stopped, {.stop_after_steps = 4});
  EXPECT_CONTAINS(changed("step_tokens: 120", "step_tokens: 110"), "a recipe with other values");
  EXPECT_CONTAINS(changed("steps: 8", "steps: 3"), "are at step 4, but the recipe ends at 3");
  EXPECT_EQ(changed("steps: 8", "steps: 9"), "");
  const std::string rows = read_file(folder_ / "rows.jsonl");
  std::string other = rows;
  other.replace(other.find("good"), 4, "fine");
  write_file(folder_ / "rows.jsonl", other);
  EXPECT_CONTAINS(changed("steps: 8", "steps: 9"), "holds other rows");
  write_file(folder_ / "rows.jsonl", rows);
  // The stage before was trained anew.
  train(recipe("base_again"));
  std::filesystem::remove_all(folder_ / "base");
  std::filesystem::rename(folder_ / "base_again/model", folder_ / "base");
  EXPECT_CONTAINS(changed("steps: 8", "steps: 9"), "began from other weights");
}

// A base whose embedding has more rows than its tokenizer has tokens, as Qwen2.5's.
TEST_F(DecoderTrainerTest, SpareRowsOfTheBaseBeginAnew) {
  constexpr int64_t kSpare = 40;
  test::write_tiny_decoder(folder_.path(), kSpare);
  write_file(folder_ / "spare.yaml", concat("extends: ", recipe("run", "codes: 20\n").filename().string(),
                                            "\noutput: ", (folder_ / "spare").string(),
                                            "\nsteps: 1\nlearning_rate: 1.0e-12\nwarmup_steps: 1\n"));
  train(folder_ / "spare.yaml");
  const auto embedding = [&](const char* model) {
    return open_weights(folder_ / model)->load("model.embed_tokens.weight").to(at::kFloat).clone();
  };
  const at::Tensor base = embedding("base"), begun = embedding("spare/model");
  ASSERT_EQ(begun.sizes(), base.sizes());
  const at::Tensor change = std::get<0>((begun - base).abs().max(1));
  const int64_t known = base.size(0) - kSpare;
  EXPECT_LT(change.narrow(0, 0, known).max().item<double>(), 1e-6);
  EXPECT_GT(change.narrow(0, known, kSpare).min().item<double>(), 1e-2);
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

TEST_F(DecoderTrainerTest, HowAStepIsDividedIntoBatchesChangesNothing) {
  train(recipe("whole", "bf16: false\nletter_loss: {weight: 0.5, layer: 0}\n"), {.stop_after_steps = 1});
  write_file(folder_ / "parts.yaml", concat("extends: whole.yaml\noutput: ", (folder_ / "parts").string(),
                                            "\nbatch_tokens: 8\n"));  // each sample alone
  train(folder_ / "parts.yaml", {.stop_after_steps = 1});
  const auto whole = metrics(folder_ / "whole").front(), parts = metrics(folder_ / "parts").front();
  for (const char* key : {"loss", "letter_loss", "gradient_norm"}) {
    EXPECT_NEAR(parts.at(key).get<double>(), whole.at(key).get<double>(), 1e-4 * whole.at(key).get<double>()) << key;
  }
}

class AdapterTrainerTest : public DecoderTrainerTest {
 protected:
  void SetUp() override {
    DecoderTrainerTest::SetUp();
    adapter_ = test::write_tiny_ear(folder_.path());
  }
  at::Tensor weight(const std::string& run) const {
    return open_weights(folder_ / run / "model/adapter.safetensors")->load(SpeechAdapter::kWeight).clone();
  }
  std::string adapter_;
};

TEST_F(AdapterTrainerTest, LearnsToHearVectors) {
  train(recipe("run", adapter_ + "letter_loss: {weight: 0.2, layer: 0}\n"));
  const auto lines = metrics(folder_ / "run");
  EXPECT_LT(lines.back().at("loss").get<double>(), 0.7 * lines.front().at("loss").get<double>());
  const auto before =
      SpeechAdapter::random(test::kTinyWidth, open_weights(folder_ / "base")->load(kEmbeddingName), 1).weight;
  EXPECT_GT((weight("run") - before).abs().mean().item<double>(), 0.01);

  // What is written is a whole model that hears with the ear of the recipe.
  const auto folder = folder_ / "run/model";
  const FusedModel model = load_fused_model(folder, {}, find_ear(folder)),
                   codes = load_fused_model(folder_ / "ear", {}, find_ear(folder_ / "ear"));
  const auto speech = test::tiny_speech(1.3);
  const HeardSpeech heard = model.hear(speech);
  EXPECT_EQ(heard.sound.size(), codes.hear(speech).sound.size());
  EXPECT_EQ(heard.sound.front(), -1);
  at::Tensor features;
  codes.sound_tokenizer->encode(speech, nullptr, &features);
  EXPECT_LE((heard.vectors - at::linear(features, weight("run"), model.adapter->bias)).abs().max().item<double>(),
            1e-4);

  // A run on top of it goes on with its adapter.
  const auto path = recipe("more", adapter_);
  std::string yaml = read_file(path);
  yaml.replace(yaml.find("/base\n"), 6, "/run/model\n");
  yaml.replace(yaml.find("learning_rate: 0.01"), 19, "learning_rate: 1e-9");
  write_file(path, yaml);
  train(path);
  EXPECT_LE((weight("more") - weight("run")).abs().max().item<double>(), 1e-6);
}

TEST_F(AdapterTrainerTest, StoppedAndResumedEndsBitIdentical) {
  train(recipe("whole", adapter_));
  train(recipe("stopped", adapter_), {.stop_after_steps = 3});
  train(recipe("stopped", adapter_));
  for (const char* file : {"model.safetensors", "adapter.safetensors", "ichigo.json"}) {
    EXPECT_EQ(read_file(folder_ / "whole/model" / file), read_file(folder_ / "stopped/model" / file)) << file;
  }
}

TEST_F(AdapterTrainerTest, SaysWhatIsWrong) {
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("a", adapter_ + "loss: all\n")); }), "no codes are heard");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("b", "adapter: {whisper: x}\n")); }), "tokenizer");
  test::write_tiny_features(folder_.path(), 48);
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("c", adapter_)); }), "in a width of 64");
  std::filesystem::remove(folder_ / "rows.features");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("d", adapter_)); }), "features: true");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "c/model"));
}

TEST_F(DecoderTrainerTest, BeginsBetweenTwoModels) {
  train(recipe("far"));
  const auto begin = [&](const std::string& output, const std::string& more) {
    write_file(folder_ / (output + ".yaml"), concat("extends: far.yaml\noutput: ", (folder_ / output).string(),
                                                    "\nsteps: 1\nlearning_rate: 1.0e-12\nwarmup_steps: 1\n", more));
    train(folder_ / (output + ".yaml"));
    return open_weights(folder_ / output / "model");
  };
  const std::string blend = concat("blend: {with: ", (folder_ / "far/model").string(), ", share: ");
  const auto start = begin("start", ""), blended = begin("blended", blend + "0.25}\n");
  const auto end = open_weights(folder_ / "far/model");
  for (const auto& [name, info] : end->tensors()) {
    const auto of = [&](const auto& weights) { return weights->load(name).to(at::kFloat); };  // stored as bfloat16
    EXPECT_TRUE(at::allclose(of(blended), of(start) * 0.75 + of(end) * 0.25, 1e-2, 1e-3)) << name;
    EXPECT_GT((of(blended) - of(start)).abs().max().item<double>(), 5e-3) << name;
  }
  EXPECT_CONTAINS(test::error_of([&] { begin("a", blend + "1}\n"); }), "must lie between 0");
  test::write_tiny_model(folder_ / "other", *test::golden("tokenizer/tokenizer.json"));
  EXPECT_CONTAINS(
      test::error_of([&] { begin("b", "blend: {with: " + (folder_ / "other").string() + ", share: 0.5}\n"); }),
      "a model of the same shape");
}

TEST_F(DecoderTrainerTest, SaysWhatIsWrongWithTheRecipe) {
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("a", "lerning_rate: 1\n")); }), "learning_rate");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("b", "longest_sample: -1\n")); }), "longest_sample");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("d", "letter_loss: {weight: 1, layer: 2}\n")); }), "0 to 1");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("e", "optimizer: adam\n")); }), "adamw, lion or adam_mini");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("f", "validation_steps: 0\n")); }), "validation_steps must be positive");
  EXPECT_CONTAINS(test::error_of([&] { train(recipe("c", "loss: everything\n")); }), "everything");
}

}  // namespace
}  // namespace ichigo
