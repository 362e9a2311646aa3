// The decoder's training data: sequences, loss masks, packing, and a stream that goes on exactly where it stopped.
#include "data/mixture.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

class MixtureTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = test::golden("tokenizer/tokenizer.json");
    ASSERT_TRUE(file) << "tests/golden/tokenizer is part of the repository";
    tokenizer_ = std::make_unique<BytePairTokenizer>(BytePairTokenizer::from_file(*file));
    prompt_ = std::make_unique<ChatPrompt>(*tokenizer_, ChatTemplate{ChatFormat::kLlama3});
    sounds_ = std::make_unique<SoundVocabulary>(*tokenizer_);
    std::string lines;
    for (int i = 0; i < 20; ++i) {
      SpeechRow row;
      row.index = i;
      row.text = "question " + std::to_string(i);
      row.answer = i % 2 == 0 ? "answer" : "";
      row.sound.assign(5 + i, i);
      lines += token_file_line(row);
    }
    rows_ = folder_.path() / "rows.jsonl";
    write_file(rows_, lines);
  }

  Mixture mixture(const std::vector<MixtureSource>& sources, LossMask mask = LossMask::kAnswer,
                  int64_t longest = 1000) {
    return Mixture(sources, *prompt_, *sounds_, mask, longest, 7);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path rows_;
  std::unique_ptr<BytePairTokenizer> tokenizer_;
  std::unique_ptr<ChatPrompt> prompt_;
  std::unique_ptr<SoundVocabulary> sounds_;
};

TEST_F(MixtureTest, AnswersAreTheOnlyTargets) {
  auto answers = mixture({{rows_, Task::kAnswer, 1}});
  EXPECT_EQ(answers.rows(), 10);
  const auto batches = answers.next_step(1, 1000);
  ASSERT_EQ(batches.size(), 1U);
  const auto& batch = batches[0];
  std::vector<int64_t> targets = batch.targets;
  EXPECT_EQ(targets, prompt_->answer("answer"));
  for (size_t i = 0; i < targets.size(); ++i) EXPECT_EQ(batch.ids[batch.target_rows[i] + 1], targets[i]);
}

// A spoken turn, a typed one, and a spoken one that counts.
SpeechRow dialogue() {
  SpeechRow row;
  row.text = "and there";
  row.answer = "so there";
  row.sound = {8, 9};
  row.earlier = {{"hello", "good day", {5, 6, 7}, {}}, {"typed", "indeed", {}, {}}};
  return row;
}

TEST_F(MixtureTest, ADialogueIsReadFromItsFirstTurn) {
  const SpeechRow row = dialogue();
  const auto path = folder_.path() / "dialogues.jsonl";
  write_file(path, token_file_line(row));
  std::vector<int64_t> expected = prompt_->opening("");
  const auto add = [&](const std::vector<int64_t>& ids) { expected.insert(expected.end(), ids.begin(), ids.end()); };
  std::vector<int64_t> targets;
  const auto turn = [&](const UserTurn& user, const std::string& answer) {
    add(prompt_->user(user));
    for (const int64_t id : prompt_->answer(answer)) targets.push_back(id);
    add(prompt_->answer(answer));
  };
  turn({"", {5, 6, 7}}, "good day");
  add(prompt_->separator());
  turn({"typed", {}}, "indeed");
  add(prompt_->separator());
  turn({"", {8, 9}}, "so there");

  const auto batch = mixture({{path, Task::kAnswer, 1}}).next_step(1, 1000)[0];
  EXPECT_EQ(batch.ids, expected);
  EXPECT_EQ(batch.targets, targets);
  ASSERT_EQ(batch.spoken.size(), 2U);
  EXPECT_EQ(batch.spoken[0].text, "hello");
  EXPECT_EQ(sounds_->code(batch.ids[batch.spoken[0].begin]), 5);
  EXPECT_EQ(batch.spoken[1].text, "and there");
  EXPECT_EQ(sounds_->code(batch.ids[batch.spoken[1].begin]), 8);

  const auto typed = mixture({{path, Task::kText, 1}}).next_step(1, 1000)[0];
  EXPECT_EQ(typed.targets, targets);
  EXPECT_TRUE(typed.spoken.empty());
  EXPECT_TRUE(std::ranges::none_of(typed.ids, [&](int64_t id) { return sounds_->is_code(id); }));
}

TEST_F(MixtureTest, ReplacedTokensAreReadBackButNotPredicted) {
  const auto step = [&](double replaced) {
    auto spoken = mixture({{rows_, Task::kTranscription, 1, replaced}});
    return spoken.next_step(3000, 100000).at(0);
  };
  const PackedBatch whole = step(0), half = step(0.5);
  EXPECT_EQ(half.lengths, whole.lengths);
  EXPECT_EQ(half.targets, whole.targets);
  EXPECT_EQ(half.target_rows, whole.target_rows);
  std::set<int64_t> text_rows;
  for (const int64_t row : whole.target_rows) text_rows.insert(row + 1);
  int64_t changed = 0;
  for (size_t i = 0; i < whole.ids.size(); ++i) {
    if (half.ids[i] == whole.ids[i]) continue;
    ++changed;
    EXPECT_TRUE(text_rows.contains(static_cast<int64_t>(i))) << "not text: " << i;
    EXPECT_NE(half.ids[i], prompt_->end_of_turn());
    EXPECT_NE(whole.ids[i], prompt_->end_of_turn());
  }
  const auto text = static_cast<double>(whole.targets.size() - whole.lengths.size());
  EXPECT_GT(static_cast<double>(changed), 0.2 * text);  // a replacement often is the same token
  EXPECT_LT(static_cast<double>(changed), 0.6 * text);
}

TEST_F(MixtureTest, AllTokensButTheFirstAreTargetsOfThePretrainingTask) {
  auto pretrain = mixture({{rows_, Task::kPretrain, 1}});
  const auto batch = pretrain.next_step(1, 1000)[0];
  EXPECT_EQ(batch.ids[0], sounds_->start());
  EXPECT_EQ(batch.targets.size(), batch.ids.size() - 1);
}

TEST_F(MixtureTest, RunningTextIsCutIntoPiecesThatAreAllPredicted) {
  const auto path = folder_.path() / "text.txt";
  std::string text;
  for (int i = 0; i < 40; ++i) text += "Line " + std::to_string(i) + " of a longer <|text|>.\n";
  write_file(path, text);
  auto texts = mixture({{path, Task::kRunningText, 1}}, LossMask::kAnswer, 30);
  const auto ids = tokenizer_->encode(text, false, false);
  const int64_t pieces = (static_cast<int64_t>(ids.size()) + 29) / 30;
  EXPECT_EQ(texts.rows(), pieces);
  std::multiset<int64_t> seen;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const auto batch = texts.next_step(1, 1000)[0];
    EXPECT_LE(batch.ids.size(), 30U);
    EXPECT_TRUE(batch.spoken.empty());
    EXPECT_EQ(batch.targets, std::vector<int64_t>(batch.ids.begin() + 1, batch.ids.end()));
    EXPECT_NE(std::search(ids.begin(), ids.end(), batch.ids.begin(), batch.ids.end()), ids.end());
    seen.insert(batch.ids.begin(), batch.ids.end());
  }
  EXPECT_EQ(seen, std::multiset<int64_t>(ids.begin(), ids.end())) << "an epoch is the whole text";

  auto again = mixture({{path, Task::kRunningText, 1}}, LossMask::kAnswer, 30);
  again.load_state(texts.state());
  EXPECT_EQ(again.next_step(1, 1000)[0].ids, texts.next_step(1, 1000)[0].ids);
  write_file(path, text + "More.");
  auto changed = mixture({{path, Task::kRunningText, 1}}, LossMask::kAnswer, 30);
  EXPECT_CONTAINS(test::error_of([&] { changed.load_state(texts.state()); }), "text.txt");
  write_file(path, "caf\xE9");
  EXPECT_CONTAINS(test::error_of([&] { mixture({{path, Task::kRunningText, 1}}); }), "not UTF-8 at byte 3");
  write_file(path, "");
  EXPECT_CONTAINS(test::error_of([&] { mixture({{path, Task::kRunningText, 1}}); }), "no text");
}

// Writes a row of two values for each code, CODE and NUMBER OF THE FRAME, beside the token file.
void write_features(const std::filesystem::path& rows) {
  std::vector<float> values;
  const auto add = [&](const SpeechTurn& turn) {
    for (const int code : turn.sound) {
      values.push_back(static_cast<float>(code));
      values.push_back(static_cast<float>(values.size() / 2 % 128));
    }
  };
  for (const auto& row : read_token_file(rows)) {
    for (const auto& turn : row.earlier) add(turn);
    add(row);
  }
  const at::Tensor features = at::tensor(values).to(at::kBFloat16);
  write_file(row_features_path(rows), {static_cast<const char*>(features.const_data_ptr()), features.nbytes()});
}

TEST_F(MixtureTest, VectorsStandInTheCodesPlaces) {
  const SpeechRow row = dialogue();
  const auto dialogues = folder_.path() / "dialogues.jsonl";
  write_file(dialogues, token_file_line(row) + token_file_line(row));
  write_features(dialogues);
  write_features(rows_);
  const std::vector<MixtureSource> sources = {{rows_, Task::kAnswer, 1},
                                              {rows_, Task::kTranscription, 1, 0.3},
                                              {dialogues, Task::kAnswer, 1},
                                              {rows_, Task::kText, 1}};
  auto codes = mixture(sources);
  auto vectors = Mixture(sources, *prompt_, *sounds_, LossMask::kAnswer, 1000, 7, 2);
  int64_t heard = 0;
  for (int step = 0; step < 2; ++step) {
    const auto expected = codes.next_step(1500, 300), batches = vectors.next_step(1500, 300);
    ASSERT_EQ(batches.size(), expected.size());
    for (size_t b = 0; b < batches.size(); ++b) {
      const PackedBatch& batch = batches[b];
      EXPECT_EQ(batch.lengths, expected[b].lengths);
      EXPECT_EQ(batch.targets, expected[b].targets);
      EXPECT_EQ(batch.target_rows, expected[b].target_rows);
      EXPECT_EQ(batch.spoken.size(), expected[b].spoken.size());
      double frame = -1;
      int64_t count = 0;
      for (size_t i = 0; i < batch.ids.size(); ++i) {
        if (batch.ids[i] >= 0) {
          EXPECT_EQ(batch.ids[i], expected[b].ids[i]);
          frame = -1;
          continue;
        }
        const at::Tensor features = batch.features[vector_id(batch.ids[i])];
        EXPECT_EQ(features[0].item<double>(), sounds_->code(expected[b].ids[i]));
        // One behind another, as they were spoken.
        if (frame >= 0) {
          EXPECT_EQ(features[1].item<double>(), std::fmod(frame + 1, 128));
        }
        frame = features[1].item<double>();
        ++count;
      }
      EXPECT_EQ(count, batch.features.defined() ? batch.features.size(0) : 0);
      heard += count;
    }
  }
  EXPECT_GT(heard, 300);
}

TEST_F(MixtureTest, SaysWhatIsWrongWithFeatures) {
  const auto error = [&](Task task = Task::kAnswer, LossMask mask = LossMask::kAnswer, int64_t width = 2) {
    return test::error_of([&] { Mixture({{rows_, task, 1}}, *prompt_, *sounds_, mask, 1000, 7, width); });
  };
  EXPECT_CONTAINS(error(), "rows.features, the features of the speech in");
  EXPECT_EQ(error(Task::kText), "");
  write_features(rows_);
  EXPECT_EQ(error(), "");
  EXPECT_CONTAINS(error(Task::kAnswer, LossMask::kAll), "cannot be predicted");
  EXPECT_CONTAINS(error(Task::kPretrain), "cannot be predicted");
  EXPECT_CONTAINS(error(Task::kAnswer, LossMask::kAnswer, 3), "in a width of 3");
  write_file(rows_, read_file(rows_) + token_file_line({{"more", "", {1}, {}}, 20, "transcript", "", 0, {}}));
  EXPECT_CONTAINS(error(), "do not belong together");
}

TEST_F(MixtureTest, PacksSamplesOfAStepByLengthWithinTheBatch) {
  auto all = mixture({{rows_, Task::kAnswer, 0.7}, {rows_, Task::kTranscription, 0.2}, {rows_, Task::kText, 0.1}});
  const auto batches = all.next_step(1500, 200);
  int64_t tokens = 0;
  int64_t previous = 0;
  for (const auto& batch : batches) {
    EXPECT_LE(batch.ids.size(), 200U);
    int64_t total = 0;
    for (const int64_t length : batch.lengths) {
      EXPECT_GE(length, previous);
      previous = length;
      total += length;
    }
    EXPECT_EQ(total, static_cast<int64_t>(batch.ids.size()));
    tokens += total;
  }
  EXPECT_GE(tokens, 1500);
}

TEST_F(MixtureTest, GoesOnWhereItStopped) {
  const std::vector<MixtureSource> sources = {{rows_, Task::kAnswer, 1}, {rows_, Task::kTranscription, 1}};
  auto whole = mixture(sources);
  for (int i = 0; i < 3; ++i) whole.next_step(300, 300);
  const auto state = whole.state();
  auto resumed = mixture(sources);
  resumed.load_state(nlohmann::json::parse(state.dump()));
  for (int i = 0; i < 3; ++i) {
    const auto a = whole.next_step(300, 300);
    const auto b = resumed.next_step(300, 300);
    ASSERT_EQ(a.size(), b.size());
    for (size_t j = 0; j < a.size(); ++j) EXPECT_EQ(a[j].ids, b[j].ids);
  }
}

TEST_F(MixtureTest, EveryRowIsSeenOnceAnEpoch) {
  auto answers = mixture({{rows_, Task::kAnswer, 1}});
  std::map<int64_t, int> seen;
  while (answers.state().at("sources")[0].at("epoch") == 0 && answers.state().at("sources")[0].at("position") < 10) {
    for (const auto& batch : answers.next_step(1, 1000)) {
      for (const int64_t id : batch.ids) {
        if (sounds_->is_code(id)) {
          ++seen[sounds_->code(id)];
          break;
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 10U);
  for (const auto& [code, count] : seen) EXPECT_EQ(count, 1) << code;
}

TEST_F(MixtureTest, SaysWhatIsWrong) {
  EXPECT_THROW(mixture({}), Error);
  EXPECT_THROW(mixture({{rows_, Task::kAnswer, 0}}), Error);
  EXPECT_THROW(parse_task("sing"), Error);
  auto short_limit = mixture({{rows_, Task::kAnswer, 1}}, LossMask::kAnswer, 3);
  EXPECT_THROW(short_limit.next_step(100, 100), Error);
}

}  // namespace
}  // namespace ichigo
