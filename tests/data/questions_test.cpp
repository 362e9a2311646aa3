#include "data/questions.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "base/atomic_file.h"
#include "base/recipe.h"
#include "temporary_folder.h"
#include "text/normalize.h"

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
  const auto drawn = questions.draw(60000, 1);
  ASSERT_EQ(drawn.size(), 60000U);
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
  // 4800 capitals, of 195 countries in over 60 phrasings: no question twice.
  EXPECT_EQ(texts["capital"].size(), 4800U);
  EXPECT_EQ(answers["opposite"].size(), read_tsv(kData / "opposites.tsv").size());
  EXPECT_EQ(answers["planet_after"].size(), 7U);
  EXPECT_EQ(answers["day_before"].size(), 7U);
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
  for (const auto& question : QuestionSet(kData, Split::kTrain).all()) train.insert(spaced_words(question.text));
  const TsvTable instructions = read_tsv(kData / "instructions.tsv");
  for (size_t row = 0; row < instructions.size(); ++row) {
    train.insert(spaced_words(instructions.at(row, "question")));
  }
  const auto unseen = QuestionSet(kData, Split::kUnseen).all();
  for (const auto& question : unseen) ASSERT_FALSE(train.contains(spaced_words(question.text))) << question.text;

  std::istringstream lines(read_file(kData / "phrasings.tsv"));
  std::vector<std::pair<std::string, std::string>> held_out;  // literal beginning and end of the template
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find("\tunseen\t");
    if (begin == std::string::npos) continue;
    const std::string text = line.substr(begin + 8);
    const std::string beginning = spaced_words(text.substr(0, text.find('{')));
    // "If " is too short a beginning to tell phrasings apart.
    if (beginning.size() >= 6) held_out.emplace_back(beginning, spaced_words(text.substr(text.rfind('}') + 1)));
  }
  ASSERT_GT(held_out.size(), 20U);
  for (const auto& [beginning, end] : held_out) {
    for (auto text = train.lower_bound(beginning); text != train.end() && text->starts_with(beginning); ++text) {
      EXPECT_FALSE(text->ends_with(end)) << *text << " / " << beginning << end;
    }
  }
}

// In every table: what is held out is not among what is trained on, word for word and {name} for {name}.
TEST(Questions, NoUnseenLineEqualsATrainingLine) {
  std::set<std::string> train, unseen;
  for (const char* file : {"phrasings.tsv", "follow_ups.tsv", "identity.tsv", "small_talk.tsv"}) {
    const TsvTable table = read_tsv(kData / file);
    std::map<std::string, std::pair<int, int>> groups;  // topic or intent -> lines in train, unseen
    for (size_t row = 0; row < table.size(); ++row) {
      std::string text = table.at(row, "question");
      // Which value a template asks about is no difference: "And {subject}?" is "And {country}?".
      text = std::regex_replace(text, std::regex("\\{[a-z:]+\\}"), "value");
      const bool held_out = parse_split(table.at(row, "split"), table.place(row)) == Split::kUnseen;
      (held_out ? unseen : train).insert(spaced_words(text));
      const std::string group = table.has("topic")    ? table.at(row, "topic")
                                : table.has("intent") ? table.at(row, "intent")
                                                      : table.at(row, "after") + table.at(row, "fact") +
                                                            table.at(row, "then") + table.at(row, "answer");
      ++(held_out ? groups[group].second : groups[group].first);
    }
    for (const auto& [group, lines] : groups) {
      EXPECT_GE(lines.second, 1) << file << ": " << group;
      EXPECT_GE(lines.second * 20, lines.first) << file << ": " << group;
      EXPECT_GE(lines.first, 3) << file << ": " << group;
    }
  }
  const TsvTable instructions = read_tsv(kData / "instructions.tsv");
  for (size_t row = 0; row < instructions.size(); ++row) {
    EXPECT_TRUE(train.insert(spaced_words(instructions.at(row, "question"))).second) << instructions.place(row);
  }
  const TsvTable open = read_tsv(kData / "open_questions.tsv");
  for (size_t row = 0; row < open.size(); ++row) {
    EXPECT_TRUE(unseen.insert(spaced_words(open.at(row, "question"))).second) << open.place(row);
  }
  for (const auto& text : unseen) EXPECT_FALSE(train.contains(text)) << text;
}

// The same question in other words: at least half of the words that carry meaning are the same, one of them rare.
TEST(Questions, NoOpenQuestionIsATrainingInstructionInOtherWords) {
  static const std::set<std::string> kCarriesNothing = {
      "a",    "an",   "the",  "is",   "are",  "do",   "does",  "did",    "i",     "my",    "me",    "you",
      "your", "what", "how",  "why",  "when", "who",  "where", "should", "would", "could", "can",   "for",
      "to",   "of",   "in",   "on",   "it",   "its",  "be",    "was",    "at",    "and",   "or",    "if",
      "not",  "no",   "used", "tell", "say",  "give", "make",  "get",    "have",  "has",   "there", "that",
      "this", "with", "from", "by",   "one",  "some", "any",   "please"};
  const auto words_of = [](const std::string& text) {
    std::set<std::string> words;
    std::istringstream spaced(spaced_words(text));
    for (std::string word; spaced >> word;) {
      if (!kCarriesNothing.contains(word)) words.insert(word);
    }
    return words;
  };
  const TsvTable instructions = read_tsv(kData / "instructions.tsv"), open = read_tsv(kData / "open_questions.tsv");
  std::vector<std::set<std::string>> train;
  std::map<std::string, int> count;
  for (size_t row = 0; row < instructions.size(); ++row) {
    train.push_back(words_of(instructions.at(row, "question")));
    for (const auto& word : train.back()) ++count[word];
  }
  for (size_t row = 0; row < open.size(); ++row) {
    const auto asked = words_of(open.at(row, "question"));
    for (size_t other = 0; other < train.size(); ++other) {
      std::vector<std::string> shared;
      std::ranges::set_intersection(asked, train[other], std::back_inserter(shared));
      const bool rare = std::ranges::any_of(shared, [&](const auto& word) { return count[word] <= 3; });
      EXPECT_FALSE(rare && shared.size() * 2 >= asked.size() + train[other].size() - shared.size())
          << open.at(row, "question") << " / " << instructions.at(other, "question");
    }
  }
}

TEST(Questions, HeldOutVoicesAndSentencesAreNotInTraining) {
  const auto voices = [](const char* file) {
    std::set<std::string> names;
    RecipeNode recipe = read_recipe(std::filesystem::path(ICHIGO_SOURCE_DIR) / "recipes" / file);
    for (auto& group : recipe.children("voices")) {
      for (const auto& name : group.texts("names")) names.insert(name);
    }
    return names;
  };
  const auto train = voices("mini_voices.yaml"), unseen = voices("mini_unseen_voices.yaml");
  ASSERT_FALSE(train.empty() || unseen.empty());
  for (const auto& name : unseen) EXPECT_FALSE(train.contains(name)) << name;
  std::set<std::string> sentences;
  for (const auto& text : read_sentences(kData / "sentences.txt", Split::kTrain)) sentences.insert(spaced_words(text));
  for (const auto& text : read_sentences(kData / "sentences.txt", Split::kUnseen)) {
    EXPECT_FALSE(sentences.contains(spaced_words(text))) << text;
  }
}

TEST(Questions, AnswersContainTheirKeys) {
  const auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  const std::regex between("[^a-z0-9'\x80-\xff]+");
  const auto words = [&](const std::string& text) { return " " + std::regex_replace(lower(text), between, " ") + " "; };
  const auto normal = [](const std::string& text) { return " " + normalize_english(text) + " "; };
  for (const auto split : {Split::kTrain, Split::kUnseen}) {
    for (const auto& question : QuestionSet(kData, split).draw(6000, 2)) {
      // The second is how answers are compared when they are counted.
      EXPECT_TRUE(std::ranges::any_of(
          question.accept,
          [&](const auto& key) { return words(question.answer).find(words(key)) != std::string::npos; }))
          << question.text << " / " << question.answer;
      EXPECT_TRUE(std::ranges::any_of(
          question.accept,
          [&](const auto& key) { return normal(question.answer).find(normal(key)) != std::string::npos; }))
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

TEST(Questions, AnswersAreShortAndSpoken) {
  for (const auto& question : QuestionSet(kData, Split::kUnseen).all()) {
    for (const char c : question.answer) {
      ASSERT_TRUE(c >= ' ' && c <= '~' && !std::isdigit(static_cast<unsigned char>(c))) << question.answer;
    }
    const auto spaces = std::ranges::count(question.answer, ' ');
    ASSERT_LT(spaces, question.kind == "spelling" ? 20 : 13) << question.answer;
    ASSERT_TRUE(question.answer.ends_with('.') || question.answer.ends_with('?')) << question.answer;
  }
}

TEST(Questions, InstructionsAreShortAndSpoken) {
  for (const auto& [file, fewest] : {std::pair{"instructions.tsv", 1200U}, {"open_questions.tsv", 90U}}) {
    const TsvTable table = read_tsv(kData / file);
    EXPECT_GT(table.size(), fewest);
    for (size_t row = 0; row < table.size(); ++row) {
      const std::string& answer = table.at(row, "answer");
      for (const char c : table.at(row, "question") + answer) {
        ASSERT_TRUE(c >= ' ' && c <= '~' && !std::isdigit(static_cast<unsigned char>(c))) << table.place(row);
      }
      EXPECT_LT(std::ranges::count(answer, ' '), 29) << table.place(row);
      EXPECT_TRUE(answer.ends_with('.') || answer.ends_with('?')) << table.place(row);
    }
  }
}

TEST(Questions, SharesMakeOneWhole) {
  double sum = 0;
  for (const auto& topic : read_topics(kData, Split::kTrain)) sum += topic.share;
  EXPECT_NEAR(sum, 1, 1e-9);
}

// Facts that are known from elsewhere: as many days as a year has, symmetric neighbours, numbers in order.
TEST(Questions, TablesAgreeWithThemselves) {
  const TsvTable months = read_tsv(kData / "months.tsv"), days = read_tsv(kData / "days.tsv");
  for (const auto* table : {&months, &days}) {
    const std::string name = table == &months ? "month" : "day";
    for (size_t row = 0; row < table->size(); ++row) {
      const size_t next = (row + 1) % table->size();
      EXPECT_EQ(table->at(row, "next"), table->at(next, name));
      EXPECT_EQ(table->at(next, "previous"), table->at(row, name));
    }
  }
  const TsvTable elements = read_tsv(kData / "elements.tsv");
  std::map<std::string, std::string> numbers;
  std::set<std::string> symbols;
  for (size_t row = 0; row < elements.size(); ++row) {
    numbers[elements.at(row, "element")] = elements.at(row, "number");
    EXPECT_TRUE(symbols.insert(elements.at(row, "symbol")).second);
  }
  EXPECT_EQ(numbers["hydrogen"], "one");
  EXPECT_EQ(numbers["iron"], "twenty six");
  EXPECT_EQ(numbers["gold"], "seventy nine");
  EXPECT_EQ(numbers["uranium"], "ninety two");
  const TsvTable opposites = read_tsv(kData / "opposites.tsv");
  std::set<std::string> words;
  for (size_t row = 0; row < opposites.size(); ++row) {
    EXPECT_TRUE(words.insert(opposites.at(row, "word")).second) << opposites.at(row, "word");
    EXPECT_NE(opposites.at(row, "word"), opposites.at(row, "opposite"));
  }
}

bool marked(const std::string& answer, const std::vector<std::string>& keys) {
  return std::ranges::any_of(
      keys, [&](const auto& key) { return spaced_words(answer).find(spaced_words(key)) != std::string::npos; });
}

TEST(Questions, AnswersToWhatIsNoQuestionAreMarkedAndNoOthers) {
  const auto inaudible = read_inaudible_answers(kData), statements = read_statement_answers(kData);
  for (const auto& [answers, keys, fewest] :
       {std::tuple{inaudible, inaudible_keys(), 30U}, {statements, statement_keys(), 20U}}) {
    EXPECT_GE(answers.size(), fewest);
    EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), answers.size());
    for (const auto& answer : answers) EXPECT_TRUE(marked(answer, keys)) << answer;
  }
  for (const auto& answer : statements) EXPECT_FALSE(marked(answer, inaudible_keys())) << answer;
  for (const auto& question : QuestionSet(kData, Split::kTrain).draw(20000, 3)) {
    EXPECT_FALSE(marked(question.answer, inaudible_keys())) << question.answer;
    if (question.kind == "identity" || question.kind == "small_talk") continue;  // "Ask me a question."
    EXPECT_FALSE(marked(question.answer, statement_keys())) << question.answer;
  }
}

TEST(Questions, WhatAsksNothing) {
  for (const char* text : {"The bread is still warm.", "he would not be rid of his affliction", "Amelia",
                           "Whatever he said was wrong.", "but you must do your best"}) {
    EXPECT_TRUE(asks_nothing(text)) << text;
  }
  for (const char* text :
       {"You like it?", "what is the capital of france", "Isn't it late", "Tell me a joke.", "Shut the door, please.",
        "WHO ARE YOU", "what's her name", "and who is that", "but would you like it", "so are you here to play"}) {
    EXPECT_FALSE(asks_nothing(text)) << text;
  }
}

class SmallQuestions : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(folder_ / "countries.tsv",
               "country\tcapital\tcontinent\tcurrency\taccept_capital\taccept_currency\n"
               "the Maldives\tMale\tAsia\tthe rufiyaa\t\tMaldivian rufiyaa\n"
               "Singapore\tSingapore\tAsia\tthe Singapore dollar\n");
    std::string topics = "topic\tshare\ttable\tsubject\tvalue\tanswer\n";
    for (const std::string topic : {"capital", "continent", "currency"}) {
      topics += topic + "\t0.1\tcountries.tsv\tcountry\t" + topic + "\tIt is {" + topic + "}.\n";
    }
    for (const std::string topic : {"add", "subtract", "multiply", "divide"}) {
      topics += "arithmetic_" + topic + "\t0.1\t\ta\tresult\t{a} and {b} is {result}.\n";
    }
    for (const std::string topic : {"identity", "small_talk"}) {
      topics += topic + "\t0.1\t" + topic + ".tsv\tquestion\tanswer\t{answer}\n";
    }
    write_file(folder_ / "topics.tsv", topics);
    follow_ups("");
    write_file(folder_ / "identity.tsv",
               "intent\tsplit\tquestion\tanswer\taccept\nname\ttrain\tWho?\tIchigo.\tichigo\n");
    write_file(folder_ / "small_talk.tsv", "intent\tsplit\tquestion\tanswer\taccept\nhi\ttrain\tHi.\tHello.\thello\n");
    phrasings("");
  }
  void phrasings(const std::string& extra) {
    std::string text = "topic\tsplit\tquestion\n";
    for (const char* topic : {"capital", "continent", "currency"}) {
      text += std::string(topic) + "\ttrain\t{country} has which " + topic + "?\n";
    }
    for (const char* topic : {"add", "subtract", "multiply", "divide"}) {
      text += "arithmetic_" + std::string(topic) + "\ttrain\t" + topic + " {a} and {b}\n";
    }
    write_file(folder_ / "phrasings.tsv", text + extra);
  }
  void follow_ups(const std::string& lines) {
    write_file(folder_ / "follow_ups.tsv", "after\tfact\tthen\tsplit\tquestion\tanswer\taccept\n" + lines);
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
  phrasings("arithmetic_divide\ttrain\tWhat is {a} over {b}?\n");
  const auto all = QuestionSet(folder_.path(), Split::kTrain).all();
  const auto nine = std::ranges::find(all, std::string("What is nine over one?"), &Question::text);
  ASSERT_NE(nine, all.end());
  EXPECT_EQ(nine->accept, (std::vector<std::string>{"in nine", "one is nine", "9"}));
}

TEST_F(SmallQuestions, SayWhatIsWrong) {
  phrasings("weather\ttrain\tRain?\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: unknown topic \"weather\"");
  phrasings("capital\ttrain\tWhere is {city}?\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: {city} is not known");
  phrasings("capital\ttrain\tWhere is {country?\n");
  EXPECT_CONTAINS(error(), "not closed");
  phrasings("capital\tmaybe\tWhere is {country}?\n");
  EXPECT_CONTAINS(error(), "phrasings.tsv:9: the split must be");
  phrasings("");
  follow_ups("capital\tnext\t\ttrain\tAnd {country}?\n");
  EXPECT_CONTAINS(error(), "follow_ups.tsv:2: \"fact\" must be");
  follow_ups("capitol\tother\t\ttrain\tAnd {country}?\n");
  EXPECT_CONTAINS(error(), "follow_ups.tsv:2: unknown topic in \"capitol\"");
  follow_ups("capital\tother\t\ttrain\tAnd {city}?\n");
  EXPECT_CONTAINS(error(), "follow_ups.tsv:2: {city} is not known");
  follow_ups("any\t\t\ttrain\tThanks.\n");
  EXPECT_CONTAINS(error(), "answer and accept must not be empty");
  follow_ups("");
  const QuestionSet few(folder_.path(), Split::kTrain, "identity");
  EXPECT_CONTAINS(error_of([&] { few.draw_dialogues(1, 2, 1); }), "too few facts for a dialogue of 2 turns");
  write_file(folder_ / "topics.tsv", "topic\tshare\ttable\tsubject\tvalue\tanswer\ncapital\tmuch\n");
  EXPECT_CONTAINS(error(), "topics.tsv:2: \"share\" must be above 0");
  SetUp();
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
