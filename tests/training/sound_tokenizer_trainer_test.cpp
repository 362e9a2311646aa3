#include "training/sound_tokenizer_trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/random.h"
#include "data/feature_file.h"
#include "golden.h"
#include "temporary_folder.h"
#include "training/clip_batches.h"
#include "training/code_spelling.h"
#include "training/tiny_encoder.h"
#include "training/trained_encoder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWidth = 64, kPhones = 6;
constexpr const char* kNames = "bdfhkl";  // of the phones, in the order of PhonemeSet
constexpr const char* kRecipeVariable = "ICHIGO_TEST_RECIPE";

// Of each phone, then of silence.
at::Tensor phone_directions(int64_t width = kWidth) {
  at::manual_seed(11);
  return 3 * at::randn({kPhones + 1, width});
}

// Clips in which each phone is a direction of the features, held for a few positions, with silence between.
void write_features(const fs::path& path, int64_t count, int64_t width = kWidth,
                    int64_t frames_per_position = kFramesPerPosition) {
  Random random(5);
  const auto directions = phone_directions(width);
  std::vector<at::Tensor> all;
  std::string list;
  int64_t offset = 0;
  for (int64_t index = 0; index < count; ++index) {
    FeatureClip clip;
    std::vector<at::Tensor> frames;
    const auto hold = [&](int64_t which) {
      const auto held = frames_per_position * (2 + static_cast<int64_t>(random.below(3)));
      frames.push_back(directions[which].expand({held, width}) + 0.3 * at::randn({held, width}));
    };
    hold(kPhones);
    for (int64_t i = 0; i < 3 + index % 4; ++i) {
      const auto phone = static_cast<int64_t>(random.below(kPhones));
      clip.phonemes.push_back(std::string(1, kNames[phone]));
      hold(phone);
      hold(kPhones);
    }
    const auto features = at::cat(frames);
    clip.index = index, clip.offset = offset, clip.frames = features.size(0), clip.source = "test";
    offset += clip.frames;
    list += feature_line(clip);
    all.push_back(features);
  }
  const auto bytes = at::cat(all).to(at::kBFloat16).contiguous();
  write_file(path.string() + ".features", {static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  write_file(path.string() + ".jsonl", list);
}

fs::path write_recipe(const fs::path& folder, const std::string& output, const std::string& more = "", int steps = 40) {
  set_threads(1);  // such small matrices gain nothing from more
  const auto path = folder / (output + ".yaml");
  write_file(path, "train: sound_tokenizer\noutput: " + (folder / output).string() + "\nfeatures: [" +
                       (folder / "clips").string() + "]\nsteps: " + std::to_string(steps) +
                       "\nbatch_seconds: 12\nlearning_rate: 3e-3\nwarmup_steps: 5\nquantize_after: 0.5\n"
                       "checkpoint_steps: 7\ntime_mask: 0.05\n"
                       "tokenizer: {width: 64, codes: 24, codebook_dim: 16}\n"
                       "codebook: {kmeans_vectors: 2000}\n"
                       "losses: {usage: 0.1}\n"
                       "head: {width: 64, layers: 1, kernel: 5, dropout: 0.1}\n" +
                       more);
  return path;
}

std::vector<nlohmann::json> read_metrics(const fs::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

void expect_same_model(const fs::path& one, const fs::path& other) {
  for (const char* name : {"sound_tokenizer.safetensors", "ctc_head.safetensors", "ctc_head.json"}) {
    EXPECT_TRUE(read_file(one / name) == read_file(other / name)) << name;
  }
}

TEST(SoundTokenizerTrainer, LearnsToReadPhonesOffTheCodes) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 120);
  train(write_recipe(folder.path(), "run"));
  const auto lines = read_metrics(folder.path() / "run");
  ASSERT_EQ(lines.size(), 40U);
  for (size_t step = 0; step < lines.size(); ++step) EXPECT_EQ(lines[step].at("step"), step);
  const double first = lines.front().at("ctc"), last = lines.back().at("ctc");
  EXPECT_LT(last, 0.3 * first);
  EXPECT_FALSE(lines[19].contains("commitment"));  // before k-means
  EXPECT_LT(lines.back().at("commitment").get<double>(), 0.5);
  EXPECT_GT(lines.back().at("perplexity").get<double>(), 7);  // more than one code for each of 6 phones and silence

  const auto bottleneck = load_bottleneck(folder.path() / "run/sound_tokenizer.safetensors");
  EXPECT_TRUE(bottleneck->config().cut_to_length);
  const FeatureFile file(folder.path() / "clips", kWidth);
  std::set<int64_t> used;
  for (const auto& source : file.clips()) {
    const Clip clip{&file, &source, source.frames / 2, {}};
    const at::NoGradGuard no_gradient;
    const auto codes = bottleneck->quantize(bottleneck->project(bottleneck->transform(pooled_features(clip))));
    for (int64_t t = 0; t < codes.size(0); ++t) used.insert(codes[t].item<int64_t>());
  }
  EXPECT_GE(used.size(), 12U);
  EXPECT_FALSE(used.contains(24));  // the mask code
}

TEST(SoundTokenizerTrainer, TheHeadTellsHowItsCodesAreSpelled) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 120);
  train(write_recipe(folder.path(), "run"));
  const at::NoGradGuard no_gradient;
  const auto bottleneck = load_bottleneck(folder.path() / "run/sound_tokenizer.safetensors");
  const auto codes = bottleneck->quantize(bottleneck->project(bottleneck->transform(phone_directions())));
  const auto heard = phones_of_codes(folder.path() / "run");
  ASSERT_EQ(heard.sizes(), (std::vector<int64_t>{24, kPhones}));
  EXPECT_LE(heard.sum(1).max().item<double>(), 1.0001);
  EXPECT_LT(heard[codes[kPhones]].sum().item<double>(), 0.3);

  const auto vocabulary = BytePairTokenizer::from_file(*test::golden("tokenizer/tokenizer.json"));
  const auto embedding = at::randn({vocabulary.vocabulary_size(), 48}) + 1;
  const auto rows = spelled_codes(folder.path() / "run", vocabulary, embedding, 1);
  ASSERT_EQ(rows.sizes(), (std::vector<int64_t>{24, 48}));
  EXPECT_TRUE(rows.equal(spelled_codes(folder.path() / "run", vocabulary, embedding, 1)));
  const auto mean = embedding.mean(0);
  const auto distances = (rows - mean).norm(2, 1), wanted = (embedding - mean).norm(2, 1).mean();
  EXPECT_LT((distances - wanted).abs().max().item<double>(), 1e-3);
  for (int64_t phone = 0; phone < kPhones; ++phone) {
    EXPECT_EQ(heard[codes[phone]].argmax().item<int64_t>(), phone);
    double best = 0;
    char nearest = '?';
    for (const char* name = kNames; *name != 0; ++name) {
      const auto letter = embedding[vocabulary.encode(std::string(1, *name)).at(0)] - mean;
      const auto cosine = at::dot(rows[codes[phone]] - mean, letter) / letter.norm();
      if (cosine.item<double>() > best) best = cosine.item<double>(), nearest = *name;
    }
    EXPECT_EQ(nearest, kNames[phone]);
  }
}

TEST(SoundTokenizerTrainer, AStoppedRunEndsBitIdentical) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 60);
  train(write_recipe(folder.path(), "whole", "", 24));
  const auto recipe = write_recipe(folder.path(), "parts", "", 24);
  for (const int64_t steps : {9, 6, 30}) {  // before k-means, across it, to the end
    TrainOptions options;
    options.stop_after_steps = steps;
    train(recipe, options);
  }
  expect_same_model(folder.path() / "whole", folder.path() / "parts");
  const auto one = read_metrics(folder.path() / "whole"), other = read_metrics(folder.path() / "parts");
  ASSERT_EQ(one.size(), other.size());
  for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].at("loss"), other[i].at("loss")) << i;
}

TEST(SoundTokenizerTrainer, DISABLED_IsTheRunThatIsKilled) {
  set_threads(1);
  if (const char* recipe = std::getenv(kRecipeVariable)) train(recipe);
}

TEST(SoundTokenizerTrainer, AKilledRunEndsBitIdentical) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 60);
  train(write_recipe(folder.path(), "whole", "", 24));
  const auto recipe = write_recipe(folder.path(), "killed", "", 24);
  for (int kill = 0; kill < 2; ++kill) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // This program again, since a process whose threads have run must not fork and go on.
      ::setenv(kRecipeVariable, recipe.c_str(), 1);
      ::execl("/proc/self/exe", "test", "--gtest_also_run_disabled_tests",
              "--gtest_filter=SoundTokenizerTrainer.DISABLED_IsTheRunThatIsKilled", nullptr);
      ::_exit(127);
    }
    const auto wanted = folder.path() / "killed" / (kill == 0 ? "checkpoint-000007" : "checkpoint-000014");
    for (int wait = 0; wait < 3000 && !fs::exists(wanted); ++wait) ::usleep(10000);
    ::usleep(7000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    ASSERT_TRUE(fs::exists(wanted));
  }
  train(recipe);
  expect_same_model(folder.path() / "whole", folder.path() / "killed");
}

TEST(SoundTokenizerTrainer, TrainsTheEncoderToo) {
  const test::TemporaryFolder folder;
  const auto whisper = folder.path() / "start.safetensors";
  test::write_tiny_encoder(whisper);
  write_features(folder.path() / "clips", 60, 80, kMelFramesPerPosition);
  const auto with_encoder = [&](const char* output, const char* rate) {
    return write_recipe(folder.path(), output,
                        concat("encoder: {whisper: ", whisper.string(), ", learning_rate: ", rate, "}\n"), 12);
  };
  train(with_encoder("whole", "5e-4"));
  train(with_encoder("frozen", "0"));
  const auto recipe = with_encoder("parts", "5e-4");
  for (const int64_t steps : {4, 3, 30}) {  // before k-means, across it, to the end
    TrainOptions options;
    options.stop_after_steps = steps;
    train(recipe, options);
  }
  expect_same_model(folder.path() / "whole", folder.path() / "parts");
  const auto encoder = [&](const char* run) { return read_file(trained_encoder_file(folder.path() / run)); };
  EXPECT_TRUE(encoder("whole") == encoder("parts"));
  EXPECT_TRUE(encoder("frozen") == read_file(whisper));
  EXPECT_FALSE(encoder("whole") == read_file(whisper));

  const auto whole = read_metrics(folder.path() / "whole"), frozen = read_metrics(folder.path() / "frozen");
  EXPECT_EQ(whole[1].at("ctc"), frozen[1].at("ctc"));  // the first step's learning rate is 0
  EXPECT_GT(whole[1].at("encoder_gradient_norm").get<double>(), 0);
  EXPECT_LT(whole[3].at("ctc").get<double>(), frozen[3].at("ctc").get<double>() - 0.2);

  // What it hears with is what was trained: the head reads the codes of the two files together.
  const auto ear = SoundTokenizer::load(folder.path() / "whole", trained_encoder_file(folder.path() / "whole"));
  EXPECT_EQ(ear.encode(std::vector<float>(16000, 0.1F)).size(), 25U);
  std::string text = read_file(recipe);
  text.replace(text.find("usage: 0.1"), 10, "mse: 1");
  write_file(recipe, text);
  EXPECT_CONTAINS(test::error_of([&] { train(recipe); }), "hears for ctc alone");
}

TEST(SoundTokenizerTrainer, LearnsWithoutQuantisingForComparison) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 60);
  train(write_recipe(folder.path(), "run", "quantize: false\n"));
  const auto lines = read_metrics(folder.path() / "run");
  EXPECT_FALSE(lines.back().contains("commitment"));
  EXPECT_LT(lines.back().at("ctc").get<double>(), 0.3 * lines.front().at("ctc").get<double>());
  EXPECT_FALSE(load_ctc_head(folder.path() / "run").first->config().quantize);
}

TEST(SoundTokenizerTrainer, RefusesToStartFromATokenizerOfAnotherShape) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 20);
  train(write_recipe(folder.path(), "run", "quantize: false\n", 6));
  const auto path = write_recipe(folder.path(), "reading");
  std::string text = read_file(path);
  const auto replace = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace("codes: 24", "codes: 16");
  replace("losses: {usage: 0.1}", "losses: {ctc: 0, commitment: 0, cross_entropy: 1}");
  write_file(path,
             text + "whisper: nowhere\nstart: " + (folder.path() / "run/sound_tokenizer.safetensors").string() + "\n");
  EXPECT_CONTAINS(test::error_of([&] { train(path); }), "another shape");
}

TEST(SoundTokenizerTrainer, LearnsTheWayBackFromFixedCodes) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 60);
  train(write_recipe(folder.path(), "run"));
  const auto start = folder.path() / "run/sound_tokenizer.safetensors";
  const auto path = write_recipe(folder.path(), "reading", "start: " + start.string() + "\n");
  std::string text = read_file(path);
  const std::string from = "losses: {usage: 0.1}";
  text.replace(text.find(from), from.size(), "losses: {ctc: 0, commitment: 0, mse: 1}");
  write_file(path, text);
  train(path);
  const auto lines = read_metrics(folder.path() / "reading");
  EXPECT_LT(lines.back().at("mse").get<double>(), 0.5 * lines.front().at("mse").get<double>());

  // The codes are those that it began with, and the features of a clip come back from them.
  const auto before = load_bottleneck(start),
             after = load_bottleneck(folder.path() / "reading/sound_tokenizer.safetensors");
  const at::NoGradGuard no_gradient;
  const FeatureFile file(folder.path() / "clips", kWidth);
  const auto frames = file.features(file.clips()[0]).to(at::kFloat);
  const auto pooled = frames.unflatten(0, {-1, 2}).mean(1);
  const auto codes = after->quantize(after->project(after->transform(pooled)));
  EXPECT_TRUE(codes.equal(before->quantize(before->project(before->transform(pooled)))));
  const auto back = after->output(after->embed(codes.unsqueeze(0)).repeat_interleave(2, 1))[0];
  EXPECT_LT((back - frames).square().mean().item<double>(), 0.7 * frames.square().mean().item<double>());

  // Nothing goes on from another tokenizer of the same name, nor on other speech.
  const at::AutoGradMode gradients(true);
  const std::string before_change = read_file(start);
  std::filesystem::remove_all(folder.path() / "run");
  train(write_recipe(folder.path(), "run", "seed: 5\n"));
  EXPECT_CONTAINS(test::error_of([&] { train(path); }), "began from other weights or other speech");
  write_file(start, before_change);
  EXPECT_EQ(test::error_of([&] { train(path); }), "");
  write_features(folder.path() / "clips", 50);
  EXPECT_CONTAINS(test::error_of([&] { train(path); }), "began from other weights or other speech");
}

TEST(SoundTokenizerTrainer, LeavesOutWhatIsTooLong) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 60);
  std::vector<FeatureFile> files;
  files.emplace_back(folder.path() / "clips", kWidth);
  const PhonemeSet phonemes = PhonemeSet::of(files[0].clips());
  int64_t left_out = 0;
  const auto all = usable_clips(files, phonemes, 0, &left_out);
  const auto longest = std::ranges::max(all, {}, &Clip::length).length;
  int64_t too_long = 0;
  for (const auto& clip : usable_clips(files, phonemes, longest - 1, &too_long)) EXPECT_LT(clip.length, longest);
  EXPECT_GT(too_long, left_out);
}

TEST(SoundTokenizerTrainer, RefusesAnotherRecipesCheckpoints) {
  const test::TemporaryFolder folder;
  write_features(folder.path() / "clips", 20);
  TrainOptions options;
  options.stop_after_steps = 1;
  train(write_recipe(folder.path(), "run"), options);
  EXPECT_THROW(train(write_recipe(folder.path(), "run", "seed: 5\n"), options), Error);
}

TEST(SoundTokenizerTrainer, NamesWhatIsWrongWithARecipe) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& more) {
    try {
      SoundTokenizerRecipe::read(write_recipe(folder.path(), "run", more));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(""), "");
  EXPECT_NE(message("quantise: true\n").find("quantize"), std::string::npos);  // the nearest known key
  EXPECT_NE(message("start: x\n").find("keeps the codes"), std::string::npos);
  EXPECT_NE(message("clip: -1\n").find("clip"), std::string::npos);
  EXPECT_NE(message("encoder: {whisper: x, learning_rate: -1}\n").find("0 or more"), std::string::npos);
  EXPECT_NE(message("whisper: x\nbeta2: 3\n").find("beta"), std::string::npos);
}

TEST(ClipSampler, EveryEpochHasEveryClipOnceInBatchesThatFit) {
  std::vector<Clip> clips(100);
  for (int64_t i = 0; i < 100; ++i) clips[i].length = 10 + (i * 37) % 90;
  ClipSampler sampler(clips, 250, 1), again(clips, 250, 1);
  std::vector<std::vector<const Clip*>> first_epoch;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    std::set<const Clip*> seen;
    size_t count = 0;
    while (count < clips.size()) {
      const auto batch = sampler.next();
      int64_t longest = 0;
      for (const auto* clip : batch) longest = std::max(longest, clip->length), seen.insert(clip);
      EXPECT_LE(longest * static_cast<int64_t>(batch.size()), 250);
      count += batch.size();
      if (epoch == 0) first_epoch.push_back(batch);
    }
    EXPECT_EQ(seen.size(), clips.size());
  }
  again.seek(0, 3);
  EXPECT_EQ(again.next(), first_epoch[3]);
}

}  // namespace
}  // namespace ichigo
