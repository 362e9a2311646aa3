#include "data/dialogues.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <regex>

#include "data/questions.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

const std::filesystem::path kData = std::filesystem::path(ICHIGO_SOURCE_DIR) / "data";

const QuestionSet& questions(Split split) {
  static const QuestionSet train(kData, Split::kTrain), unseen(kData, Split::kUnseen);
  return split == Split::kTrain ? train : unseen;
}

bool is_right(const std::string& answer, const Question& question) {
  return std::ranges::any_of(question.accept, [&](const auto& key) {
    return spaced_words(answer).find(spaced_words(key)) != std::string::npos;
  });
}

// -1: no number.
int number_in(const std::string& text) {
  for (int number = 0; number <= 100; ++number) {
    if (spaced_words(number_words(number)) == spaced_words(text)) return number;
  }
  return -1;
}

TEST(Dialogues, DependOnTheSeedAlone) {
  const auto texts = [&](uint64_t seed) {
    std::string all;
    for (const auto& dialogue : questions(Split::kTrain).draw_dialogues(100, 3, seed)) {
      for (const auto& question : dialogue) all += question.text + question.answer;
    }
    return all;
  };
  EXPECT_EQ(texts(5), texts(5));
  EXPECT_NE(texts(5), texts(6));
  EXPECT_CONTAINS(test::error_of([&] { questions(Split::kTrain).draw_dialogues(1, 5, 1); }), "2 to 4 turns, not 5");
}

TEST(Dialogues, NoEarlierAnswerIsRight) {
  for (const auto split : {Split::kTrain, Split::kUnseen}) {
    for (const int turns : {2, 4}) {
      for (const auto& dialogue : questions(split).draw_dialogues(3000, turns, 1)) {
        ASSERT_EQ(dialogue.size(), static_cast<size_t>(turns));
        for (size_t turn = 0; turn < dialogue.size(); ++turn) {
          const Question& question = dialogue[turn];
          EXPECT_TRUE(is_right(question.answer, question)) << question.text << " / " << question.answer;
          if (question.kind == "follow_up_repeat") {
            ASSERT_GT(turn, 0U);
            EXPECT_EQ(question.answer, dialogue[turn - 1].answer);
            continue;
          }
          for (size_t earlier = 0; earlier < turn; ++earlier) {
            EXPECT_FALSE(is_right(dialogue[earlier].answer, question)) << question.text << " / " << question.answer;
            EXPECT_NE(dialogue[earlier].text, question.text);
          }
        }
      }
    }
  }
}

TEST(Dialogues, MostlyNeedTheTurnBefore) {
  std::map<std::string, int> kinds;
  int follow_ups = 0, reactions = 0;
  const int count = 5000;
  for (const auto& dialogue : questions(Split::kTrain).draw_dialogues(count, 2, 2)) {
    follow_ups += dialogue[1].kind.starts_with("follow_up_") ? 1 : 0;
    reactions += dialogue[1].kind == "reaction" ? 1 : 0;
    ++kinds[dialogue[1].kind];
  }
  EXPECT_NEAR(follow_ups, 0.6 * count, 0.06 * count);
  EXPECT_NEAR(reactions, 0.05 * count, 0.02 * count);
  for (const char* kind : {"capital", "continent", "currency", "language", "arithmetic_add", "arithmetic_subtract",
                           "arithmetic_multiply", "arithmetic_divide", "element_symbol", "element_number", "day_after",
                           "month_days", "opposite", "spelling", "repeat", "animal_young"}) {
    EXPECT_GT(kinds["follow_up_" + std::string(kind)], 0) << kind;
  }
}

// Works out every sum from the numbers in question and answer before.
TEST(Dialogues, SumsGoOnFromTheResult) {
  const std::map<std::string, std::string> words{{"arithmetic_add", "plus"},
                                                 {"arithmetic_subtract", "minus"},
                                                 {"arithmetic_multiply", "times"},
                                                 {"arithmetic_divide", "divided by"}};
  int checked = 0;
  for (const auto& dialogue : questions(Split::kTrain).draw_dialogues(4000, 3, 3)) {
    for (size_t turn = 1; turn < dialogue.size(); ++turn) {
      const Question& question = dialogue[turn];
      if (!question.kind.starts_with("follow_up_arithmetic")) continue;
      const std::string kind = question.kind.substr(10), word = words.at(kind);
      std::smatch match, before;
      ASSERT_TRUE(std::regex_match(question.answer, match, std::regex("(.+) " + word + " (.+) is (.+)\\.")))
          << question.answer;
      ASSERT_TRUE(std::regex_match(dialogue[turn - 1].answer, before, std::regex(".+ is (.+)\\.")));
      const int a = number_in(match[1]), b = number_in(match[2]), result = number_in(match[3]);
      EXPECT_EQ(number_in(before[1]), a) << dialogue[turn - 1].answer << " " << question.answer;
      ASSERT_TRUE(a >= 0 && b >= 0 && result >= 0) << question.answer;
      EXPECT_EQ(kind == "arithmetic_add"        ? a + b
                : kind == "arithmetic_subtract" ? a - b
                : kind == "arithmetic_multiply" ? a * b
                                                : (b > 0 && a % b == 0 ? a / b : -1),
                result)
          << question.answer;
      EXPECT_NE(spaced_words(question.text).find(spaced_words(match[2])), std::string::npos) << question.text;
      ++checked;
    }
  }
  EXPECT_GT(checked, 300);
}

// Looks the countries up in the table: the currency, say, that is told must be that of the country told of before.
TEST(Dialogues, FollowUpsKeepTheCountry) {
  const TsvTable table = read_tsv(kData / "countries.tsv");
  std::map<std::string, std::string> country_of;  // answer -> country
  for (size_t row = 0; row < table.size(); ++row) {
    const std::string country = spaced_words(table.at(row, "country"));
    country_of[spaced_words("the capital of" + country + "is " + table.at(row, "capital"))] = country;
    country_of[spaced_words(country + "is in " + table.at(row, "continent"))] = country;
    country_of[spaced_words(country + "uses " + table.at(row, "currency"))] = country;
    country_of[spaced_words("in" + country + "people speak " + table.at(row, "language"))] = country;
  }
  int same = 0, other = 0;
  for (const auto& dialogue : questions(Split::kTrain).draw_dialogues(4000, 2, 4)) {
    const std::string kind = dialogue[1].kind;
    if (kind != "follow_up_capital" && kind != "follow_up_continent" && kind != "follow_up_currency" &&
        kind != "follow_up_language") {
      continue;
    }
    const auto before = country_of.find(spaced_words(dialogue[0].answer));
    const auto after = country_of.find(spaced_words(dialogue[1].answer));
    ASSERT_TRUE(before != country_of.end() && after != country_of.end()) << dialogue[1].answer;
    const bool named = spaced_words(dialogue[1].text).find(after->second) != std::string::npos;
    if (named) {
      EXPECT_EQ(kind, "follow_up_" + dialogue[0].kind) << dialogue[1].text;
    } else {
      EXPECT_EQ(after->second, before->second) << dialogue[1].text;
    }
    ++(named ? other : same);
  }
  EXPECT_GT(same, 100);
  EXPECT_GT(other, 100);
}

}  // namespace
}  // namespace ichigo
