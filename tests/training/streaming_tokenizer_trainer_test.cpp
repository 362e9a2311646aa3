// The distillation of a block-causal encoder from a small random one.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/random.h"
#include "data/feature_file.h"
#include "models/sound_tokenizer.h"
#include "temporary_folder.h"
#include "training/tiny_encoder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

void write_teacher(const fs::path& folder) {
  test::write_tiny_encoder(folder / "whisper.safetensors");
  SoundTokenizerConfig shape;
  shape.codes = shape.mask_code = 32;
  shape.codebook_rows = 33;
  shape.codebook_dim = 16;
  shape.width = 64;
  shape.n_head = 1;
  shape.depth = 0;
  shape.cut_to_length = true;
  shape.tail_frames = 8;
  Bottleneck bottleneck(shape);
  bottleneck.initialize(4);
  save_bottleneck(folder / "tokenizer.safetensors", bottleneck);
}

// Spectra that move slowly. The last clip is longer than 30 s.
void write_speech(const fs::path& folder) {
  Random random(5);
  std::vector<at::Tensor> all;
  std::string list;
  int64_t offset = 0;
  for (int64_t index = 0; index < 40; ++index) {
    FeatureClip clip;
    clip.index = index, clip.offset = offset, clip.source = "test";
    clip.frames = index == 39 ? 3100 : 40 + static_cast<int64_t>(random.below(160));
    all.push_back(at::randn({clip.frames, 80}).cumsum(0) * 0.2 - 2);
    list += feature_line(clip);
    offset += clip.frames;
  }
  const auto bytes = at::cat(all).to(at::kBFloat16).contiguous();
  write_file(folder / "speech.features", {static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  write_file(folder / "speech.jsonl", list);
}

fs::path write_recipe(const fs::path& folder, const std::string& output, const std::string& more = "",
                      const std::string& whisper = "whisper") {
  set_threads(1);
  const auto path = folder / (output + ".yaml");
  const auto in_folder = [&](const std::string& name) { return (folder / name).string(); };
  write_file(path, "train: streaming_tokenizer\noutput: " + in_folder(output) + "\nspeech: [" + in_folder("speech") +
                       "]\ntokenizer: " + in_folder("tokenizer.safetensors") +
                       "\nwhisper: " + in_folder(whisper + ".safetensors") +
                       "\nsteps: 30\nbatch_seconds: 12\nlearning_rate: 1e-3\nwarmup_steps: 4\ncheckpoint_steps: 5\n"
                       "blocks: {frames: 16, look_ahead: 8, context: 2}\n" +
                       more);
  return path;
}

std::vector<nlohmann::json> read_metrics(const fs::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(StreamingTokenizerTrainer, LearnsTheTeachersCodesAndAStoppedRunEndsBitIdentical) {
  const test::TemporaryFolder folder;
  write_teacher(folder.path());
  write_speech(folder.path());
  train(write_recipe(folder.path(), "whole"));
  const auto lines = read_metrics(folder.path() / "whole");
  ASSERT_EQ(lines.size(), 30U);
  const auto mean = [&](const char* key, size_t begin) {  // of five steps
    double sum = 0;
    for (size_t i = begin; i < begin + 5; ++i) sum += lines[i].at(key).get<double>();
    return sum / 5;
  };
  EXPECT_LT(mean("kl", 25), 0.75 * mean("kl", 0));
  EXPECT_GT(mean("agreement", 25), mean("agreement", 0) + 0.05);

  const auto recipe = write_recipe(folder.path(), "parts");
  for (const int64_t steps : {7, 5, 40}) {
    TrainOptions options;
    options.stop_after_steps = steps;
    train(recipe, options);
  }
  const auto file = [&](const char* run) { return read_file(folder.path() / run / "streaming_whisper.safetensors"); };
  EXPECT_TRUE(file("whole") == file("parts"));

  const auto tokenizer = SoundTokenizer::load(folder.path() / "tokenizer.safetensors",
                                              folder.path() / "whole/streaming_whisper.safetensors");
  EXPECT_TRUE(tokenizer.streaming());
  EXPECT_EQ(tokenizer.encoder().config().blocks.look_ahead, 8);
  EXPECT_EQ(tokenizer.encode(std::vector<float>(16000, 0.1F)).size(), 25U);
}

TEST(StreamingTokenizerTrainer, RefusesWrongRecipes) {
  const test::TemporaryFolder folder;
  write_teacher(folder.path());
  write_speech(folder.path());
  const auto error = [&](const std::string& more) {
    return test::error_of([&] { train(write_recipe(folder.path(), "run", more)); });
  };
  EXPECT_CONTAINS(error("temperature: 0\n"), "\"temperature\" must be above 0");
  EXPECT_CONTAINS(error("later_share: 2\n"), "\"later_share\" must be in [0, 1]");
  EXPECT_CONTAINS(error("losses: {kl: 0, distance: 0}\n"), "one of them above 0");
  EXPECT_CONTAINS(error("temprature: 1\n"), "temprature");
  TrainOptions options;
  options.stop_after_steps = 1;
  train(write_recipe(folder.path(), "run"), options);
  EXPECT_CONTAINS(error("seed: 8\n"), "belong to a recipe with other values");
  EXPECT_CONTAINS(test::error_of([&] {
    train(write_recipe(folder.path(), "again", "", "run/streaming_whisper"), options);
  }), "the teacher must be an encoder that sees whole clips");
}

}  // namespace
}  // namespace ichigo
