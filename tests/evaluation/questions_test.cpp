#include "evaluation/questions.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(IsRight, WholeWordsWhateverCaseAndPunctuation) {
  EXPECT_TRUE(is_right("The capital of France is Paris.", {"is Paris"}));
  EXPECT_TRUE(is_right("It's PARIS!", {"is paris"}));
  EXPECT_FALSE(is_right("The Parisian way", {"Paris"}));
  EXPECT_FALSE(is_right("", {"Paris"}));
  EXPECT_TRUE(is_right("I think Rome, or Milan.", {"Naples", "Milan"}));
  EXPECT_FALSE(is_right("What is it? Paris", {"is Paris"}));
}

TEST(IsRight, NumbersAsWordsOrDigits) {
  EXPECT_TRUE(is_right("That is forty-two.", {"is forty two"}));
  EXPECT_TRUE(is_right("That is 42.", {"is forty two"}));
  EXPECT_FALSE(is_right("That is 142.", {"forty two"}));
  EXPECT_FALSE(is_right("That is forty.", {"forty two"}));
}

TEST(Questions, ReadsColumnsByName) {
  const test::TemporaryFolder folder;
  write_file(folder / "clips/a.wav", "x");
  write_file(folder / "list.tsv", "answer\tvoice\tpath\ttext\nParis|the city of Paris\tslt\tclips/a.wav\tWhat?\n");
  const auto spoken = read_questions(folder / "list.tsv", QuestionForm::kSpoken);
  ASSERT_EQ(spoken.size(), 1U);
  EXPECT_EQ(spoken[0].path, folder / "clips/a.wav");
  EXPECT_EQ(spoken[0].answers, (std::vector<std::string>{"Paris", "the city of Paris"}));
  EXPECT_EQ(read_questions(folder / "list.tsv", QuestionForm::kTyped)[0].text, "What?");
}

TEST(Questions, ReadsTheTurnsBefore) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) write_file(folder / name, "x");
  write_file(folder / "list.tsv",
             "path\ttext\tanswer\tearlier\tearlier_text\nc.wav\tAnd there?\tyen\ta.wav|b.wav\tHello.|What?\n"
             "a.wav\tHi.\thello\t\t\n");
  const auto spoken = read_questions(folder / "list.tsv", QuestionForm::kSpoken);
  EXPECT_EQ(spoken[0].earlier, (std::vector<std::string>{folder / "a.wav", folder / "b.wav"}));
  EXPECT_TRUE(spoken[1].earlier.empty());
  const auto typed = read_questions(folder / "list.tsv", QuestionForm::kTyped);
  EXPECT_EQ(typed[0].earlier, (std::vector<std::string>{"Hello.", "What?"}));
  std::filesystem::remove(folder / "b.wav");
  EXPECT_CONTAINS(test::error_of([&] { read_questions(folder / "list.tsv", QuestionForm::kSpoken); }),
                  "list.tsv:2: there is no recording");
}

TEST(Questions, SaysWhatIsWrongWithAList) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& list, QuestionForm form = QuestionForm::kTyped) {
    write_file(folder / "list.tsv", list);
    return test::error_of([&] { read_questions(folder / "list.tsv", form); });
  };
  EXPECT_CONTAINS(message("text\tanswers\na\tb\n"), "no column \"answer\"");
  EXPECT_CONTAINS(message("text\tanswer\na\t\n"), "list.tsv:2: the column \"answer\" is empty");
  EXPECT_CONTAINS(message("text\tanswer\na\tb|!!!\n"), "\"!!!\" has no words");
  EXPECT_CONTAINS(message("text\tanswer\n"), "no rows");
  EXPECT_CONTAINS(message("path\tanswer\nabsent.wav\tb\n", QuestionForm::kSpoken), "list.tsv:2: there is no recording");
}

TEST(Questions, CountsRightAnswers) {
  const std::vector<QuestionItem> items = {
      {{}, "one", {"1"}, "l:1"}, {{}, "two", {"two"}, "l:2"}, {{}, "three", {"3"}, "l:3"}};
  std::vector<bool> reported;
  const auto score = evaluate_questions(
      items, [](const QuestionItem& item) { return item.text == "two" ? "no idea" : "It is " + item.text; },
      [&](const QuestionItem&, const std::string&, bool right) { reported.push_back(right); });
  EXPECT_EQ(reported, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(score.right, 2);
  EXPECT_DOUBLE_EQ(score.accuracy(), 2.0 / 3.0);
}

}  // namespace
}  // namespace ichigo
