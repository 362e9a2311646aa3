#include "data/questions.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

const std::filesystem::path kData = std::filesystem::path(ICHIGO_SOURCE_DIR) / "data";

TEST(Questions, SpellsNumbers) {
  EXPECT_EQ(number_words(0), "zero");
  EXPECT_EQ(number_words(13), "thirteen");
  EXPECT_EQ(number_words(40), "forty");
  EXPECT_EQ(number_words(42), "forty two");
  EXPECT_EQ(number_words(99), "ninety nine");
  EXPECT_EQ(number_words(100), "one hundred");
  std::set<std::string> all;
  for (int number = 0; number <= 100; ++number) all.insert(number_words(number));
  EXPECT_EQ(all.size(), 101U);
  EXPECT_THROW(number_words(101), std::exception);
}

TEST(Questions, EveryFactComesBeforeAnyComesAgain) {
  const QuestionSet questions(kData, Split::kTrain);
  const auto drawn = questions.draw(40000, 1);
  ASSERT_EQ(drawn.size(), 40000U);
  std::map<std::string, std::map<std::string, int>> answers;  // kind -> answer -> times
  std::map<std::string, std::set<std::string>> texts;
  for (const auto& question : drawn) {
    ++answers[question.kind][question.answer];
    texts[question.kind].insert(question.text);
  }
  // Facts within 0..100, counted by hand: a + b <= 100; a >= b; products; exact quotients.
  EXPECT_EQ(answers["arithmetic_add"].size(), 101U * 102 / 2);
  EXPECT_EQ(answers["arithmetic_subtract"].size(), 101U * 102 / 2);
  EXPECT_EQ(answers["arithmetic_multiply"].size(), 482U + 201);
  EXPECT_EQ(answers["arithmetic_divide"].size(), 482U + 100);
  for (const char* kind : {"capital", "continent", "currency"}) {
    EXPECT_EQ(answers[kind].size(), 195U) << kind;
    const auto [least, most] =
        std::ranges::minmax_element(answers[kind], {}, [](const auto& entry) { return entry.second; });
    EXPECT_LE(most->second - least->second, 1) << kind;
  }
  // 6000 capitals of 195 countries in 30 phrasings: no question twice.
  EXPECT_EQ(texts["capital"].size(), std::min<size_t>(195 * 30, 6000));
}

TEST(Questions, DependOnTheSeedAlone) {
  const QuestionSet questions(kData, Split::kTrain);
  const auto texts = [&](uint64_t seed) {
    std::vector<std::string> result;
    for (const auto& question : questions.draw(500, seed)) result.push_back(question.text);
    return result;
  };
  EXPECT_EQ(texts(5), texts(5));
  EXPECT_NE(texts(5), texts(6));
}

// Reads the templates on its own and asks whether any of those held out fits a training question.
TEST(Questions, NoUnseenPhrasingIsAmongTheTrainingQuestions) {
  std::set<std::string> train;
  for (const auto& question : QuestionSet(kData, Split::kTrain).all()) train.insert(question.text);
  const auto unseen = QuestionSet(kData, Split::kUnseen).all();
  for (const auto& question : unseen) ASSERT_FALSE(train.contains(question.text)) << question.text;

  std::istringstream lines(read_file(kData / "phrasings.tsv"));
  std::vector<std::pair<std::string, std::string>> held_out;  // literal beginning and end of the template
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find("\tunseen\t");
    if (begin == std::string::npos) continue;
    const std::string text = line.substr(begin + 8, line.find('\t', begin + 8) - begin - 8);
    held_out.emplace_back(text.substr(0, text.find('{')), text.substr(text.rfind('}') + 1));
  }
  ASSERT_GT(held_out.size(), 20U);
  for (const auto& text : train) {
    for (const auto& [beginning, end] : held_out) {
      // "If " is too short a beginning to tell phrasings apart.
      if (beginning.size() < 6) continue;
      EXPECT_FALSE(text.starts_with(beginning) && text.ends_with(end)) << text;
    }
  }
}

TEST(Questions, AnswersContainTheirKeys) {
  const auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  const std::regex between("[^a-z0-9'\x80-\xff]+");
  const auto words = [&](const std::string& text) { return " " + std::regex_replace(lower(text), between, " ") + " "; };
  for (const auto split : {Split::kTrain, Split::kUnseen}) {
    for (const auto& question : QuestionSet(kData, split).draw(3000, 2)) {
      EXPECT_TRUE(std::ranges::any_of(
          question.accept,
          [&](const auto& key) { return words(question.answer).find(words(key)) != std::string::npos; }))
          << question.text << " / " << question.answer;
      if (question.kind == "identity" || question.kind == "small_talk") continue;
      for (const auto& key : question.accept) {
        EXPECT_EQ(words(question.text).find(words(key)), std::string::npos) << question.text << " / " << key;
      }
      EXPECT_EQ(question.text.find('{'), std::string::npos) << question.text;
      EXPECT_FALSE(std::islower(static_cast<unsigned char>(question.text[0]))) << question.text;
    }
  }
}

class SmallQuestions : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(folder_ / "countries.tsv",
               "country\tspoken\tcapital\tcontinent\tcurrency\taccept_capital\taccept_currency\n"
               "Maldives\tthe Maldives\tMale\tAsia\tthe rufiyaa\t\tMaldivian rufiyaa\n"
               "Singapore\tSingapore\tSingapore\tAsia\tthe Singapore dollar\n");
    write_file(folder_ / "identity.tsv",
               "intent\tsplit\tquestion\tanswer\taccept\nname\ttrain\tWho?\tIchigo.\tichigo\n");
    write_file(folder_ / "small_talk.tsv", "intent\tsplit\tquestion\tanswer\taccept\nhi\ttrain\tHi.\tHello.\thello\n");
    phrasings("");
  }
  void phrasings(const std::string& extra) {
    std::string text = "topic\tsplit\tquestion\tanswer\n";
    for (const char* topic : {"capital", "continent", "currency"}) {
      text += std::string(topic) + "\ttrain\t{country} has which " + topic + "?\tIt is {" + topic + "}.\n";
    }
    for (const char* topic : {"add", "subtract", "multiply", "divide"}) {
      text += "arithmetic_" + std::string(topic) + "\ttrain\t" + topic + " {a} and {b}\tIt is {result}.\n";
    }
    write_file(folder_ / "phrasings.tsv", text + extra);
  }
  std::string error() {
    return error_of([&] { QuestionSet(folder_.path(), Split::kTrain); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(SmallQuestions, FillTemplates) {
  const auto all = QuestionSet(folder_.path(), Split::kTrain).all();
  EXPECT_EQ(all.size(), 6U + 5151 + 5151 + 683 + 582 + 2);
  EXPECT_EQ(all[0].text, "The Maldives has which capital?");
  EXPECT_EQ(all[0].answer, "It is Male.");
  EXPECT_EQ(all[0].accept, (std::vector<std::string>{"Male"}));
  EXPECT_EQ(all[1].accept, (std::vector<std::string>{"is Singapore", "in Singapore"}));
  const auto rufiyaa = std::ranges::find(all, std::string("currency"), &Question::kind);
  EXPECT_EQ(rufiyaa->accept, (std::vector<std::string>{"rufiyaa", "Maldivian rufiyaa"}));
  const auto sum = std::ranges::find(all, std::string("Add twenty and twenty two"), &Question::text);
  ASSERT_NE(sum, all.end());
  EXPECT_EQ(sum->accept, (std::vector<std::string>{"forty two", "42"}));
  const auto same = std::ranges::find(all, std::string("Multiply five and one"), &Question::text);
  ASSERT_NE(same, all.end());
  EXPECT_EQ(same->accept, (std::vector<std::string>{"is five", "in five", "5"}));
}

TEST_F(SmallQuestions, KeysTellMoreThanTheQuestion) {
  phrasings("arithmetic_divide\ttrain\tWhat is {a} over {b}?\t{a} divided by {b} is {result}.\n");
  const auto all = QuestionSet(folder_.path(), Split::kTrain).all();
  const auto nine = std::ranges::find(all, std::string("What is nine over one?"), &Question::text);
  ASSERT_NE(nine, all.end());
  EXPECT_EQ(nine->accept, (std::vector<std::string>{"in nine", "one is nine", "9"}));
}

TEST_F(SmallQuestions, SayWhatIsWrong) {
  phrasings("weather\ttrain\tRain?\tNo.\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: unknown topic \"weather\"");
  phrasings("capital\ttrain\tWhere is {city}?\tHere.\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: {city} is not known");
  phrasings("capital\ttrain\tWhere is {country?\tHere.\n");
  EXPECT_CONTAINS(error(), "not closed");
  phrasings("capital\tmaybe\tWhere is {country}?\tHere.\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: the split must be");
  phrasings("");
  write_file(folder_ / "countries.tsv", "country\tspoken\nChad\tChad\n");
  EXPECT_CONTAINS(error(), "countries.tsv has no column \"capital\"");
}

TEST(QuestionSet, MayHoldOneKindOnly) {
  const QuestionSet sums(std::filesystem::path(ICHIGO_SOURCE_DIR) / "data", Split::kTrain, "arithmetic");
  const auto drawn = sums.draw(200, 1);
  EXPECT_EQ(drawn.size(), 200U);
  for (const auto& question : drawn) EXPECT_TRUE(question.kind.starts_with("arithmetic_")) << question.kind;
  EXPECT_THROW(QuestionSet(std::filesystem::path(ICHIGO_SOURCE_DIR) / "data", Split::kTrain, "music"), Error);
}

}  // namespace
}  // namespace ichigo
