#include "evaluation/speech_bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(SpokenItems, AreReadFromTablesAndFromAudioBenchsSets) {
  const test::TemporaryFolder folder;
  write_file(folder / "clips/a.wav", "x");
  write_file(folder / "list.tsv", "voice\tpath\ttext\tanswer\nslt\tclips/a.wav\tWhat?\tParis|the city\n");
  const auto table = read_spoken_items(folder / "list.tsv", Needs::kBoth);
  ASSERT_EQ(table.size(), 1U);
  EXPECT_EQ(table[0].path, folder / "clips/a.wav");
  EXPECT_EQ(table[0].references, (std::vector<std::string>{"Paris", "the city"}));
  write_file(folder / "list.tsv", "path\treference\nclips/a.wav\tthis | and that\n");
  EXPECT_EQ(read_spoken_items(folder / "list.tsv", Needs::kSpeech)[0].references[0], "this | and that");

  write_file(folder / "set.jsonl",
             R"({"context": {"path": "clips/a.wav", "bytes": null}, "speech_instruction": "Say", "answer": "So"})"
             "\n\n"
             R"({"audio": "clips/a.wav", "audio_text_instruction": "Tell", "reference": "Thus", "task_type": "SI"})"
             "\n");
  const auto set = read_spoken_items(folder / "set.jsonl", Needs::kBoth);
  ASSERT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0].text + set[0].references[0] + set[1].text + set[1].references[0], "SaySoTellThus");
  EXPECT_EQ(set[1].path, folder / "clips/a.wav");
  EXPECT_TRUE(set[1].place.ends_with("set.jsonl:3")) << set[1].place;
  EXPECT_EQ(read_spoken_items(folder / "set.jsonl", Needs::kBoth, 1).size(), 1U);
}

TEST(SpokenItems, SaysWhatIsWrongWithAList) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& list, Needs needs) {
    write_file(folder / "list.tsv", list);
    return test::error_of([&] { read_spoken_items(folder / "list.tsv", needs); });
  };
  EXPECT_CONTAINS(message("path\ttext\treference\nabsent.wav\tq\tr\n", Needs::kBoth),
                  "list.tsv:2: there is no recording");
  EXPECT_CONTAINS(message("path\ttext\treference\n\tq\tr\n", Needs::kSpeech),
                  "list.tsv:2: there is no recording named");
  EXPECT_CONTAINS(message("text\treference\nq\t\n", Needs::kText), "list.tsv:2: there is no reference answer");
  EXPECT_CONTAINS(message("path\treference\nx\tr\n", Needs::kText), "list.tsv:2: there is no text");
  EXPECT_CONTAINS(message("text\nq\n", Needs::kText), "no column \"answer\"");
  EXPECT_CONTAINS(message("text\treference\n", Needs::kText), "no rows");
}

class SetJudge : public Judge {
 public:
  explicit SetJudge(std::vector<Rating> ratings) : ratings_(std::move(ratings)) {}
  std::string name() const override { return "set"; }
  Rating rate(const AnswerToJudge&) override { return ratings_.at(next_++); }

 private:
  std::vector<Rating> ratings_;
  size_t next_ = 0;
};

TEST(SpeechBench, ScoresAreOfAHundred) {
  const std::vector<SpokenItem> items = {{{}, "one", {"1"}, "l:1"}, {{}, "two", {"2"}, "l:2"}};
  std::vector<std::unique_ptr<Judge>> judges;
  judges.push_back(built_in_judge());
  judges.push_back(std::make_unique<SetJudge>(std::vector<Rating>{{.score = 4}, {.score = 0, .understood = false}}));
  std::vector<std::string> answers;
  const auto result = evaluate_speech_bench(
      items, judges, [](const SpokenItem& item) { return item.text == "one" ? "It is 1." : "No idea"; },
      [&](const SpokenItem&, const std::string& answer, const std::vector<Rating>&) { answers.push_back(answer); });
  EXPECT_EQ(answers, (std::vector<std::string>{"It is 1.", "No idea"}));
  EXPECT_DOUBLE_EQ(result.scores[0].score, 50);
  EXPECT_DOUBLE_EQ(result.scores[0].understood, 1);
  EXPECT_DOUBLE_EQ(result.scores[1].score, 40);
  EXPECT_DOUBLE_EQ(result.scores[1].understood, 0.5);
  ASSERT_EQ(result.agreement.size(), 1U);
  EXPECT_DOUBLE_EQ(result.agreement[0].within_one, 1);
  EXPECT_NEAR(*result.agreement[0].pearson, 1, 1e-12);
  EXPECT_EQ(speech_bench_json(result)["judges"][1]["score"], 40);
  EXPECT_CONTAINS(test::error_of([&] {
                    evaluate_speech_bench(items, judges, [](const SpokenItem&) -> std::string { fail("no ear"); });
                  }),
                  "l:1: no ear");
}

}  // namespace
}  // namespace ichigo
