#include "data/synthesize.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <map>
#include <numeric>
#include <ranges>
#include <regex>
#include <set>

#include "audio/audio_file.h"
#include "audio/log_mel.h"
#include "base/atomic_file.h"
#include "base/random.h"
#include "data/corpus.h"
#include "data/feature_file.h"
#include "data/questions.h"
#include "data/synthesis_output.h"
#include "data/synthesis_recipe.h"
#include "data/token_file.h"
#include "golden.h"
#include "models/sound_tokenizer.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using test::error_of;

// Contents of the files below a folder by their relative path.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  }
  return files;
}

class SynthesizeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string sentences;
    for (const char* text : {"A cat.", "Red sky.", "Good tea.", "Nine men.", "Run home.", "Big dog."}) {
      sentences += std::string(text) + "\n";
    }
    write_file(folder_ / "sentences.txt", sentences);
    Random random(1);
    std::vector<float> noise(8000);
    for (auto& sample : noise) sample = static_cast<float>(0.1 * random.normal());
    write_audio(folder_ / "noise/a.wav", noise);
    write_file(folder_ / "noise/list.tsv", "path\ttranscript\na.wav\thiss\n");
  }
  // Writes the recipe; its output lies in a folder of its own.
  fs::path recipe(const std::string& name, const std::string& kind, const std::string& extra = "") {
    const std::string here = folder_.path().string();
    write_file(folder_ / (name + ".yaml"),
               "synthesize: " + kind + "\noutput: " + here + "/" + name + "/out\nseed: 3\nrows: 8\n" +
                   "sources:\n  - {sentences: " + here + "/sentences.txt, share: 1}\n  - {recordings: " + here +
                   "/noise/list.tsv, copies: 2}\n" +
                   "voices:\n  - {names: ['espeak:en-us+f2', 'espeak:en-gb'], weight: 2}\n" +
                   "rate: {min: 0.9, max: 1.2}\nnoise: " + here + "/noise/list.tsv\n" +
                   "augmentation: {probability: 0.8, min_speed: 0.9, max_speed: 1.1}\n" + extra);
    return folder_ / (name + ".yaml");
  }
  SynthesizeResult run(const fs::path& recipe, int threads = 2, int64_t limit = 0) {
    testing::internal::CaptureStderr();
    try {
      const auto result = synthesize(recipe, {threads, limit});
      testing::internal::GetCapturedStderr();
      return result;
    } catch (...) {
      testing::internal::GetCapturedStderr();
      throw;
    }
  }
  // What a run that is never disturbed writes, against threads, limits and cuts at any byte.
  void expect_same_whatever_happens(const std::string& kind, const std::string& extra = "", int cuts = 4) {
    EXPECT_EQ(run(recipe("whole", kind, extra)).rows, 10);
    const auto whole = contents(folder_ / "whole");

    const auto limited = recipe("limited", kind, extra);
    EXPECT_EQ(run(limited, 1, 3).rows, 3);
    EXPECT_EQ(run(limited, 2, 1).rows, 4);
    EXPECT_EQ(run(limited, 1).rows, 10);
    EXPECT_EQ(without_fingerprint(contents(folder_ / "limited")), without_fingerprint(whole));

    Random random(7);
    for (int i = 0; i < cuts; ++i) {
      for (const auto& [name, text] : whole) {
        if (name.ends_with("fingerprint.json") || name.ends_with(".flac")) continue;
        fs::resize_file(folder_ / "whole" / name, random.below(text.size()));
      }
      EXPECT_EQ(run(folder_ / "whole.yaml").rows, 10);
      EXPECT_EQ(contents(folder_ / "whole"), whole);
    }
  }
  static std::map<std::string, std::string> without_fingerprint(std::map<std::string, std::string> files) {
    std::erase_if(files, [](const auto& file) { return file.first.ends_with("fingerprint.json"); });
    return files;
  }
  test::TemporaryFolder folder_;
};

TEST_F(SynthesizeTest, AudioIsTheSameWhateverHappens) {
  expect_same_whatever_happens("audio");
  const TsvTable list = read_tsv(folder_ / "whole/out/list.tsv");
  ASSERT_EQ(list.size(), 10U);
  int recordings = 0;
  for (size_t row = 0; row < list.size(); ++row) {
    const Audio audio = read_audio_native(folder_ / "whole/out" / list.at(row, "path"));
    EXPECT_EQ(audio.rate, 16000);
    EXPECT_GT(audio.seconds(), 0.2);
    EXPECT_EQ(list.at(row, "text"), list.at(row, "transcript"));
    recordings += list.at(row, "voice").starts_with("recording:") ? 1 : 0;
  }
  EXPECT_EQ(recordings, 2);
}

TEST_F(SynthesizeTest, CodesAreTheSameWhateverHappens) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer_path, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  const std::string weights = "tokenizer: " + tokenizer_path.string() + "\nwhisper: " + whisper_path.string() + "\n";
  expect_same_whatever_happens("codes", weights, /*cuts=*/1);

  // The same rows as audio files give nearly the same codes: only 16-bit rounding lies between.
  run(recipe("audio", "audio"));
  const TsvTable list = read_tsv(folder_ / "audio/out/list.tsv");
  const auto rows = read_token_file(folder_ / "whole/out.jsonl");
  ASSERT_EQ(rows.size(), 10U);
  const SoundTokenizer tokenizer = SoundTokenizer::load(tokenizer_path, whisper_path);
  at::set_num_threads(1);
  size_t same = 0, total = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].text, list.at(i, "text"));
    EXPECT_EQ(rows[i].kind, "transcript");
    const auto codes = tokenizer.encode(read_audio(folder_ / "audio/out" / list.at(i, "path")));
    ASSERT_EQ(codes.size(), rows[i].sound.size());
    EXPECT_EQ(codes.size(), static_cast<size_t>(rows[i].seconds * 25));
    for (size_t j = 0; j < codes.size(); ++j) same += codes[j] == rows[i].sound[j] ? 1 : 0;
    total += codes.size();
  }
  EXPECT_GT(static_cast<double>(same), 0.9 * static_cast<double>(total));
}

TEST_F(SynthesizeTest, FeaturesOfCodesAreTheSameWhateverHappens) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer_path, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  const std::string weights = "tokenizer: " + tokenizer_path.string() + "\nwhisper: " + whisper_path.string() + "\n";
  expect_same_whatever_happens("codes", weights + "features: true\n", /*cuts=*/1);
  run(recipe("alone", "codes", weights));
  EXPECT_EQ(read_file(folder_ / "alone/out.jsonl"), read_file(folder_ / "whole/out.jsonl"));
  EXPECT_FALSE(fs::exists(folder_ / "alone/out.features"));

  const SoundTokenizer tokenizer = SoundTokenizer::load(tokenizer_path, whisper_path);
  auto rows = read_token_file(folder_ / "whole/out.jsonl");
  read_row_features(folder_ / "whole/out.jsonl", tokenizer.config().width, rows);
  at::set_num_threads(1);
  run(recipe("audio", "audio"));
  double difference = 0, size = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    // By hand: the frames of the clip as the encoder gives them, two by two.
    const auto samples = read_audio(synthesis_audio_path(folder_ / "audio/out", static_cast<int64_t>(i)));
    const at::NoGradGuard no_grad;
    const at::Tensor frames = tokenizer.features(tokenizer.mel(samples))[0].narrow(0, 0, 2 * rows[i].features.size(0));
    const at::Tensor expected = (frames.slice(0, 0, std::nullopt, 2) + frames.slice(0, 1, std::nullopt, 2)) / 2;
    difference += (rows[i].features.to(at::kFloat) - expected).square().sum().item<double>();
    size += expected.square().sum().item<double>();
  }
  EXPECT_LT(std::sqrt(difference / size), 0.05);  // 16-bit rounding of the audio, bfloat16

  SynthesizeOptions shards;
  shards.shards = 2;
  EXPECT_CONTAINS(error_of([&] { synthesize(folder_ / "whole.yaml", shards); }), "cannot be made in shards");
}

TEST_F(SynthesizeTest, FeaturesAreTheSameWhateverHappens) {
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  expect_same_whatever_happens("features", "tail_frames: 20\nwhisper: " + whisper_path.string() + "\n");
  const FeatureFile file(folder_ / "whole/out", 128);
  ASSERT_EQ(file.clips().size(), 10U);
  for (const auto& clip : file.clips()) {
    EXPECT_FALSE(clip.phonemes.empty());
    EXPECT_GT(clip.frames, 10);
    EXPECT_TRUE(file.features(clip).to(at::kFloat).isfinite().all().item<bool>());
  }
}

TEST_F(SynthesizeTest, MelIsTheSameWhateverHappens) {
  expect_same_whatever_happens("mel", "");
  run(recipe("audio", "audio"));
  const TsvTable list = read_tsv(folder_ / "audio/out/list.tsv");
  const FeatureFile file(folder_ / "whole/out", kMelBands);
  ASSERT_EQ(file.clips().size(), 10U);
  for (const auto& clip : file.clips()) {
    EXPECT_FALSE(clip.phonemes.empty());
    const at::Tensor mel = StreamingLogMel::normalize(file.features(clip).t().to(at::kFloat));
    const auto samples = read_audio(folder_ / "audio/out" / list.at(static_cast<size_t>(clip.index), "path"));
    const at::Tensor expected = log_mel(samples);
    ASSERT_EQ(mel.sizes(), expected.sizes());
    EXPECT_LT((mel - expected).abs().mean().item<double>(), 0.05);
  }
}

TEST_F(SynthesizeTest, DialoguesAndNoiseAsAudio) {
  const auto recipe_of = [&](const std::string& name, const std::string& kind) {
    write_file(folder_ / (name + ".yaml"),
               "synthesize: " + kind + "\noutput: " + (folder_ / name).string() + "\nseed: 4\nrows: 6\nsources:\n" +
                   "  - {dialogues: " + ICHIGO_SOURCE_DIR + "/data, turns: 3, share: 2}\n" + "  - {inaudible: " +
                   ICHIGO_SOURCE_DIR + "/data, as: noise, share: 1}\nnoise: " + (folder_ / "noise/list.tsv").string() +
                   "\nvoices: [{names: ['flite:kal16', 'flite:awb']}]\n");
    return folder_ / (name + ".yaml");
  };
  run(recipe_of("whole", "audio"));
  run(recipe_of("limited", "audio"), 1, 2);
  run(folder_ / "limited.yaml");
  EXPECT_EQ(without_fingerprint(contents(folder_ / "limited")), without_fingerprint(contents(folder_ / "whole")));

  const auto items = read_tsv(folder_ / "whole/list.tsv");
  ASSERT_EQ(items.size(), 6U);
  int inaudible = 0;
  for (size_t row = 0; row < items.size(); ++row) {
    const auto before = split_alternatives(items.at(row, "earlier"));
    EXPECT_EQ(before.size(), split_alternatives(items.at(row, "earlier_text")).size());
    EXPECT_TRUE(fs::exists(folder_ / "whole" / items.at(row, "path")));
    for (const auto& path : before) EXPECT_GT(read_audio(folder_ / "whole" / path).size(), 4000U);
    if (items.at(row, "voice") == "noise") {
      ++inaudible;
      EXPECT_EQ(split_alternatives(items.at(row, "answer")), inaudible_keys());
      EXPECT_TRUE(before.empty());
    } else {
      EXPECT_EQ(before.size(), 2U);
    }
  }
  EXPECT_EQ(inaudible, 2);
}

// The same file serves both tasks: what was said, and that nothing was asked.
TEST_F(SynthesizeTest, StatementsAreAnsweredAndQuestionsAmongThemLeftOut) {
  write_file(folder_ / "said.txt", "The bread is still warm.\nDo you like it?\nHe sold the blue boat.\n");
  write_file(folder_ / "said.yaml", "synthesize: text\noutput: " + (folder_ / "said").string() +
                                        "\nsources: [{sentences: " + (folder_ / "said.txt").string() +
                                        ", statements: " ICHIGO_SOURCE_DIR "/data, copies: 2}]\n");
  run(folder_ / "said.yaml");
  const auto answers = read_statement_answers(std::filesystem::path(ICHIGO_SOURCE_DIR) / "data");
  const auto rows = read_token_file(folder_ / "said.jsonl");
  ASSERT_EQ(rows.size(), 4U);
  for (const auto& row : rows) {
    EXPECT_EQ(row.kind, "statement");
    EXPECT_NE(row.text, "Do you like it?");
    EXPECT_EQ(std::ranges::count(answers, row.answer), 1) << row.answer;
  }
}

TEST_F(SynthesizeTest, DialoguesAndWhatCannotBeUnderstoodAsCodes) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer_path, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  SpeechRow length;
  length.sound.assign(37, 1);
  write_file(folder_ / "lengths.jsonl", token_file_line(length));
  write_file(folder_ / "codes.yaml", "synthesize: codes\noutput: " + (folder_ / "codes").string() +
                                         "\nrows: 4\ntokenizer: " + tokenizer_path.string() + "\nwhisper: " +
                                         whisper_path.string() + "\nsources:\n  - {dialogues: " + ICHIGO_SOURCE_DIR +
                                         "/data, turns: 2, share: 1}\n" + "  - {inaudible: " + ICHIGO_SOURCE_DIR +
                                         "/data, as: random_codes, lengths: " + (folder_ / "lengths.jsonl").string() +
                                         ", share: 1}\nvoices: [{names: ['flite:kal16']}]\n");
  run(folder_ / "codes.yaml");
  int random_rows = 0;
  const auto answers = read_inaudible_answers(std::filesystem::path(ICHIGO_SOURCE_DIR) / "data");
  for (const auto& row : read_token_file(folder_ / "codes.jsonl")) {
    if (row.kind == "inaudible") {
      ++random_rows;
      EXPECT_EQ(row.sound.size(), 37U);
      EXPECT_GT(std::set<int>(row.sound.begin(), row.sound.end()).size(), 25U);
      EXPECT_TRUE(std::ranges::count(answers, row.answer) > 0) << row.answer;
      EXPECT_TRUE(row.text.empty() && row.earlier.empty());
      continue;
    }
    EXPECT_EQ(row.kind, "dialogue");
    ASSERT_EQ(row.earlier.size(), 1U);
    EXPECT_FALSE(row.earlier[0].sound.empty());
    EXPECT_EQ(row.seconds > 1, true);
    EXPECT_NEAR(static_cast<double>(row.sound.size() + row.earlier[0].sound.size()), row.seconds * 25, 2);
  }
  EXPECT_EQ(random_rows, 2);
}

TEST_F(SynthesizeTest, NoiseIsSplitByItsList) {
  std::string list = "path\n";
  for (int i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i) + ".wav";
    write_audio(folder_ / "split" / name, std::vector<float>(16000 * 8, i == 2 ? 0.5F : -0.5F));
    list += name + "\n";
  }
  write_file(folder_ / "split/list.tsv", list);
  for (const char* split : {"train", "unseen"}) {
    write_file(folder_ / (std::string(split) + ".yaml"),
               std::string("synthesize: audio\noutput: ") + (folder_ / split).string() +
                   "\nrows: 12\nnoise_split: " + split + "\nnoise: " + (folder_ / "split/list.tsv").string() +
                   "\nsources:\n  - {inaudible: " + ICHIGO_SOURCE_DIR + "/data, share: 1}\n");
    run(folder_ / (std::string(split) + ".yaml"));
    int above = 0, below = 0;
    for (int row = 0; row < 12; ++row) {
      const auto samples = read_audio(synthesis_audio_path(folder_ / split, row));
      const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
      above += mean > 1e-3 ? 1 : 0;  // a constant recording; coloured noise has nearly no mean
      below += mean < -1e-3 ? 1 : 0;
    }
    EXPECT_GT(split == std::string("train") ? below : above, 3);
    EXPECT_LT(split == std::string("train") ? above : below, 3);
  }
}

TEST_F(SynthesizeTest, TextIsNotSpoken) {
  write_file(folder_ / "questions.tsv", "question\tanswer\nWho?\tMe.\nWhere?\tHere.\n");
  write_file(folder_ / "text.yaml", "synthesize: text\noutput: " + (folder_ / "text").string() +
                                        "\nrows: 6\nsources: [{instructions: " + (folder_ / "questions.tsv").string() +
                                        ", share: 1}]\n");
  run(folder_ / "text.yaml");
  const auto rows = read_token_file(folder_ / "text.jsonl");
  ASSERT_EQ(rows.size(), 6U);
  for (const auto& row : rows) {
    EXPECT_EQ(row.answer, row.text == "Who?" ? "Me." : "Here.");
    EXPECT_TRUE(row.sound.empty());
    EXPECT_EQ(row.seconds, 0);
  }
}

TEST_F(SynthesizeTest, ShardsTogetherAreTheWhole) {
  const auto recipe_of = [&](const std::string& name) {
    write_file(folder_ / (name + ".yaml"),
               "synthesize: text\noutput: " + (folder_ / name).string() +
                   "\nrows: 11\nsources: [{sentences: " + (folder_ / "sentences.txt").string() + ", share: 1}]\n");
    return folder_ / (name + ".yaml");
  };
  run(recipe_of("whole"));
  const auto path = recipe_of("parts");
  const auto make = [&](int64_t shard) {
    testing::internal::CaptureStderr();
    SynthesizeOptions options;
    options.shard = shard;
    options.shards = 3;
    synthesize(path, options);
    testing::internal::GetCapturedStderr();
  };
  make(2);
  make(0);
  EXPECT_CONTAINS(error_of([&] { read_token_file(folder_ / "parts.jsonl"); }), "parts-00001-of-00003.jsonl");
  make(1);
  make(1);  // complete already
  EXPECT_FALSE(fs::exists(folder_ / "parts.jsonl"));
  std::string lines;
  for (const auto& row : read_token_file(folder_ / "parts.jsonl")) lines += token_file_line(row);
  EXPECT_EQ(lines, read_file(folder_ / "whole.jsonl"));
  fs::copy_file(folder_ / "parts-00000-of-00003.jsonl", folder_ / "parts-00000-of-00002.jsonl");
  EXPECT_CONTAINS(error_of([&] { read_token_file(folder_ / "parts.jsonl"); }), "two divisions, into 2 and into 3");
  EXPECT_CONTAINS(error_of([&] { make(3); }), "one of 0 to 2");
  testing::internal::GetCapturedStderr();
  EXPECT_CONTAINS(error_of([&] { synthesize(recipe("audio", "audio"), {1, 0, 0, 2}); }), "only codes and text");
}

TEST_F(SynthesizeTest, RefusesToGoOnWithAnotherRecipeOrOtherTexts) {
  const auto path = recipe("out", "audio");
  run(path, 1, 1);
  recipe("out", "audio", "pitch: {min: 0.9, max: 1.1}\n");
  EXPECT_CONTAINS(error_of([&] { run(path); }), "another run (different recipe)");
  recipe("out", "audio");
  write_file(folder_ / "sentences.txt", "Another text.\n");
  EXPECT_CONTAINS(error_of([&] { run(path); }), "another run (different texts)");
  const auto rows = read_file(folder_ / "out/out/list.tsv");
  ASSERT_TRUE(fs::remove(folder_ / "out/out/list.fingerprint.json"));
  EXPECT_CONTAINS(error_of([&] { run(path); }), "list.fingerprint.json, which says what they were made by");
  EXPECT_EQ(read_file(folder_ / "out/out/list.tsv"), rows);
}

TEST_F(SynthesizeTest, WhatItRefusesToGoOnWithStaysAsItIs) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer_path, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  const std::string whisper = "whisper: " + whisper_path.string() + "\n";
  const std::string weights = "tokenizer: " + tokenizer_path.string() + "\n" + whisper;
  const auto refused = [&](const fs::path& path, const std::string& part) {
    const auto before = contents(folder_ / "out");
    EXPECT_CONTAINS(error_of([&] { run(path); }), part);
    EXPECT_EQ(contents(folder_ / "out"), before);
  };
  // Codes with features now, and features of another width.
  run(recipe("out", "codes", weights));
  refused(recipe("out", "codes", weights + "features: true\n"), "another run (different recipe)");
  fs::remove_all(folder_ / "out");
  run(recipe("out", "features", whisper));
  refused(recipe("out", "mel"), "another run (different recipe)");
  // The features are gone.
  const auto path = recipe("out", "features", whisper);
  fs::resize_file(folder_ / "out/out.features", 0);
  refused(path, "its features are not in ");
}

TEST_F(SynthesizeTest, ARecipeThatFailedAtOnceMayBeMended) {
  const std::string yaml = read_file(recipe("out", "audio"));
  write_file(folder_ / "out.yaml", std::regex_replace(yaml, std::regex("en-gb"), "no-such-voice"));
  EXPECT_CONTAINS(error_of([&] { run(folder_ / "out.yaml"); }), "no-such-voice");
  write_file(folder_ / "out.yaml", yaml);
  EXPECT_EQ(run(folder_ / "out.yaml", 1, 2).rows, 2);
}

TEST_F(SynthesizeTest, AFullDiskLeavesAResumableState) {
  ICHIGO_GOLDEN_OR_SKIP(whisper_path, "whisper/tiny-random.pt");
  const std::string weights = "whisper: " + whisper_path.string() + "\n";
  run(recipe("whole", "features", weights));
  const auto path = recipe("full", "features", weights);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{50001, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of([&] { run(path); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_CONTAINS(message, "cannot write");
  EXPECT_CONTAINS(message, "out.features");
  EXPECT_EQ(run(path).rows, 10);
  EXPECT_EQ(without_fingerprint(contents(folder_ / "full")), without_fingerprint(contents(folder_ / "whole")));
}

TEST_F(SynthesizeTest, JoinsSentencesAndChoosesRecordings) {
  write_audio(folder_ / "noise/b.wav", std::vector<float>(800, 0.1F));
  write_file(folder_ / "noise/people.tsv", "path\ttranscript\na.wav\thiss\nb.wav\tbuzz\n");
  write_file(folder_ / "join.yaml",
             "synthesize: audio\noutput: x\nrows: 300\nvoices: [{names: ['flite:slt']}]\nsources:\n"
             "  - {sentences: " +
                 (folder_ / "sentences.txt").string() +
                 ", join: 3, share: 1}\n"
                 "  - {recordings: " +
                 (folder_ / "noise/people.tsv").string() + ", path_contains: b.wav, copies: 2}\n");
  const auto rows = read_synthesis_recipe(folder_ / "join.yaml").rows;
  ASSERT_EQ(rows.size(), 302);
  std::map<int64_t, int> lengths;
  std::map<std::string, int> uses;
  for (const auto& row : rows) {
    if (!row.recording.empty()) {
      EXPECT_EQ(row.text, "buzz");
      continue;
    }
    ++lengths[std::ranges::count(row.text, '.')];
    for (const char* text : {"A cat.", "Red sky.", "Good tea.", "Nine men.", "Run home.", "Big dog."}) {
      for (size_t at = row.text.find(text); at != std::string::npos; at = row.text.find(text, at + 1)) ++uses[text];
    }
  }
  ASSERT_EQ(lengths.size(), 3);  // one, two or three, equally often
  for (const auto& [length, count] : lengths) EXPECT_NEAR(count, 100, 35) << length;
  const auto [least, most] = std::ranges::minmax(uses | std::views::values);
  EXPECT_LE(most - least, 1);  // each once before any comes again
}

TEST_F(SynthesizeTest, SaysWhatIsWrongWithARecipe) {
  const auto error = [&](const std::string& yaml) {
    write_file(folder_ / "bad.yaml", yaml);
    return error_of([&] { run(folder_ / "bad.yaml"); });
  };
  const std::string sentences = (folder_ / "sentences.txt").string();
  const std::string start = "synthesize: audio\noutput: " + (folder_ / "bad").string() + "\n";
  EXPECT_CONTAINS(error("synthesize: music\noutput: x\n"),
                  "must be \"codes\", \"features\", \"mel\", \"audio\" or \"text\"");
  EXPECT_CONTAINS(error(start), "at least one source");
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + ", shares: 1}]\n"),
                  "bad.yaml:3: sources[0]: unknown key \"shares\"; did you mean \"share\"?");
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + "}]\n"), "either \"share\"");
  EXPECT_CONTAINS(error(start + "sources: [{share: 1}]\n"), "sources[0]: expected one of");
  EXPECT_CONTAINS(error(start + "sources: [{instructions: " ICHIGO_SOURCE_DIR
                                "/data/instructions.tsv, split: unseen, copies: 1}]\n"),
                  "unknown key \"split\"");
  EXPECT_CONTAINS(
      error(start + "rows: 2\nsources: [{dialogues: " ICHIGO_SOURCE_DIR "/data, kind: arithmetic, share: 1}]\n"),
      "unknown key \"kind\"");
  write_file(folder_ / "header.tsv", "question\tanswer\n");
  EXPECT_CONTAINS(
      error(start + "rows: 2\nsources: [{instructions: " + (folder_ / "header.tsv").string() + ", share: 1}]\n"),
      "header.tsv has no row");
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + ", join: 0, share: 1}]\n"), "\"join\" must be");
  EXPECT_CONTAINS(error(start + "sources: [{recordings: " + (folder_ / "noise/list.tsv").string() +
                        ", path_contains: zoo, copies: 1}]\n"),
                  "no recording's path contains \"zoo\"");
  const std::string statements = ", statements: " ICHIGO_SOURCE_DIR "/data, copies: 1";
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + ", join: 2" + statements + "}]\n"),
                  "\"sentences\" that are not joined");
  EXPECT_CONTAINS(
      error(start + "sources: [{instructions: " ICHIGO_SOURCE_DIR "/data/instructions.tsv" + statements + "}]\n"),
      "belongs to \"recordings\"");
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + ", share: 1}]\n"), "\"rows\" must say");
  EXPECT_CONTAINS(error(start + "sources: [{sentences: " + sentences + ", copies: 1}]\n"), "\"voices\"");
  EXPECT_CONTAINS(error(start + "rate: {min: 0, max: 1}\n"), "rate");
  const std::string inaudible = "rows: 2\nsources: [{inaudible: " ICHIGO_SOURCE_DIR "/data, share: 1";
  EXPECT_CONTAINS(error(start + inaudible + ", as: music}]\n"), "\"as\" must be noise or random_codes");
  EXPECT_CONTAINS(error("synthesize: mel\noutput: x\n" + inaudible + "}]\n"), "noise can be made as codes or audio");
  SpeechRow row;
  row.sound = {1};
  write_file(folder_ / "lengths.jsonl", token_file_line(row));
  EXPECT_CONTAINS(
      error(start + inaudible + ", as: random_codes, lengths: " + (folder_ / "lengths.jsonl").string() + "}]\n"),
      "random codes are only codes");
  EXPECT_CONTAINS(error("synthesize: codes\noutput: x\ntokenizer: t\nwhisper: w\nfeatures: true\n" + inaudible +
                        ", as: random_codes, lengths: " + (folder_ / "lengths.jsonl").string() + "}]\n"),
                  "made of nothing");
  EXPECT_CONTAINS(error(start + "noise_split: train\n" + inaudible + "}]\n"), "\"noise_split\" needs \"noise\"");
  EXPECT_CONTAINS(error(start + "augmentation: {probability: 3}\n"), "augmentation");
  EXPECT_FALSE(fs::exists(folder_ / "bad"));
}

}  // namespace
}  // namespace ichigo
