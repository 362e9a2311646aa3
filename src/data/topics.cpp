#include "data/topics.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/error.h"

namespace ichigo {
namespace {

struct Operation {
  const char* kind;
  bool (*allowed)(int a, int b);  // a, b in [0, 100]
  int (*result)(int a, int b);
};
constexpr std::array<Operation, 4> kOperations{{
    {"arithmetic_add", [](int a, int b) { return a + b <= 100; }, [](int a, int b) { return a + b; }},
    {"arithmetic_subtract", [](int a, int b) { return a >= b; }, [](int a, int b) { return a - b; }},
    {"arithmetic_multiply", [](int a, int b) { return a * b <= 100; }, [](int a, int b) { return a * b; }},
    {"arithmetic_divide", [](int a, int b) { return b > 0 && a % b == 0; }, [](int a, int b) { return a / b; }},
}};

std::vector<Fact> sums(const Operation& operation) {
  std::vector<Fact> facts;
  for (int a = 0; a <= 100; ++a) {
    for (int b = 0; b <= 100; ++b) {
      if (!operation.allowed(a, b)) continue;
      const int result = operation.result(a, b);
      facts.push_back({{{"a", number_words(a)}, {"b", number_words(b)}, {"result", number_words(result)}},
                       {number_words(result), std::to_string(result)}});
    }
  }
  return facts;
}

// The digits of a number that is spelled out, empty for another text.
std::string digits(const std::string& text) {
  for (int number = 0; number <= 100; ++number) {
    if (number_words(number) == text) return std::to_string(number);
  }
  return "";
}

// One fact for each row that has the topic's value; a row with an empty one tells nothing about the topic.
std::vector<Fact> table_facts(const TsvTable& table, const Topic& topic) {
  const std::string value = topic.value.substr(0, topic.value.find(':')), accept = "accept_" + value;
  std::vector<Fact> facts;
  for (size_t row = 0; row < table.size(); ++row) {
    if (table.at(row, value).empty()) continue;
    require(!table.at(row, topic.subject).empty(), table.place(row), ": \"", topic.subject, "\" must not be empty");
    Fact fact;
    fact.row = row;
    for (const auto& column : table.columns()) fact.values[column] = table.at(row, column);
    fact.values["subject"] = fact.value(topic.subject);
    fact.accept.push_back(without_article(fact.value(topic.value)));
    if (const auto number = digits(fact.accept[0]); !number.empty()) fact.accept.push_back(number);
    if (table.has(accept) && topic.value == value) {
      for (auto& other : split_alternatives(table.at(row, accept))) {
        if (std::ranges::find(fact.accept, other) == fact.accept.end()) fact.accept.push_back(std::move(other));
      }
    }
    facts.push_back(std::move(fact));
  }
  return facts;
}

// The rows are questions of their own with their answers.
std::vector<Fact> fixed_questions(const TsvTable& table, Split split) {
  std::vector<Fact> facts;
  for (size_t row = 0; row < table.size(); ++row) {
    if (parse_split(table.at(row, "split"), table.place(row)) != split) continue;
    const std::string &question = table.at(row, "question"), &answer = table.at(row, "answer");
    Fact fact{{{"question", question}, {"answer", answer}}, split_alternatives(table.at(row, "accept")), row};
    require(!question.empty() && !answer.empty() && !fact.accept.empty(), table.place(row),
            ": question, answer and accept must not be empty");
    facts.push_back(std::move(fact));
  }
  return facts;
}

Topic read_topic(const TsvTable& topics, size_t row, const std::filesystem::path& folder, Split split,
                 std::map<std::string, TsvTable>& tables) {
  Topic topic;
  topic.kind = topics.at(row, "topic");
  topic.table = topics.at(row, "table");
  topic.subject = topics.at(row, "subject");
  topic.value = topics.at(row, "value");
  topic.answer = topics.at(row, "answer");
  const std::string& share = topics.at(row, "share");
  const auto parsed = std::from_chars(share.data(), share.data() + share.size(), topic.share);
  require(parsed.ec == std::errc() && parsed.ptr == share.data() + share.size() && topic.share > 0 && topic.share <= 1,
          topics.place(row), ": \"share\" must be above 0 and at most 1, not \"", share, "\"");
  if (topic.table.empty()) {
    const auto operation = std::ranges::find(kOperations, topic.kind, &Operation::kind);
    require(operation != kOperations.end(), topics.place(row), ": \"table\" must name the file with the facts");
    topic.facts = sums(*operation);
  } else {
    const TsvTable& table = tables.try_emplace(topic.table, read_tsv(folder / topic.table)).first->second;
    topic.word_for_word = table.has("question");
    if (topic.word_for_word) topic.phrasings = {"{question}"};
    topic.facts = topic.word_for_word ? fixed_questions(table, split) : table_facts(table, topic);
    require(!topic.facts.empty(), table.path().string(), " has no ",
            topic.word_for_word ? "questions of this split" : "facts", " for \"", topic.kind, "\"");
  }
  for (size_t i = 0; i < topic.facts.size(); ++i) {
    topic.by_subject[topic.facts[i].value(topic.subject)].push_back(i);
  }
  return topic;
}

}  // namespace

std::string number_words(int number) {
  constexpr std::array kSmall{"zero",     "one",     "two",     "three",     "four",     "five",    "six",
                              "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
                              "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  constexpr std::array kTens{"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
  require(number >= 0 && number <= 100, "only numbers from 0 to 100 are spelled out, not ", number);
  if (number == 100) return "one hundred";
  if (number < 20) return kSmall[static_cast<size_t>(number)];
  const std::string tens = kTens[static_cast<size_t>(number / 10 - 2)];
  return number % 10 == 0 ? tens : tens + " " + kSmall[static_cast<size_t>(number % 10)];
}

std::string spaced_words(const std::string& text) {
  std::string words = " ";
  for (const unsigned char c : text) {
    const bool letter = std::isalnum(c) || c >= 0x80;
    if (letter) words += static_cast<char>(std::tolower(c));
    if (!letter && c != '\'' && words.back() != ' ') words += ' ';
  }
  if (words.back() != ' ') words += ' ';
  return words;
}

std::string spelled(const std::string& text) {
  std::string letters;
  for (const unsigned char c : text) {
    if (!std::isalpha(c)) continue;
    if (!letters.empty()) letters += ", ";
    letters += static_cast<char>(std::toupper(c));
  }
  return letters;
}

std::string without_article(const std::string& text) {
  for (const std::string article : {"the ", "an ", "a "}) {
    if (text.starts_with(article)) return text.substr(article.size());
  }
  return text;
}

std::string Fact::value(const std::string& name) const {
  const size_t colon = std::min(name.find(':'), name.size());
  const auto found = values.find(name.substr(0, colon));
  require(found != values.end() && (colon == name.size() || name.substr(colon) == ":letters"), "{", name,
          "} is not known");
  return colon == name.size() ? found->second : spelled(found->second);
}

std::string Fact::fill(const std::string& text) const {
  std::string filled;
  for (size_t position = 0; position < text.size();) {
    const size_t open = std::min(text.find('{', position), text.size());
    filled += text.substr(position, open - position);
    if (open == text.size()) break;
    const size_t close = text.find('}', open);
    require(close != std::string::npos, "a \"{\" is not closed in \"", text, "\"");
    filled += value(text.substr(open + 1, close - open - 1));
    position = close + 1;
  }
  if (!filled.empty() && filled[0] >= 'a' && filled[0] <= 'z') filled[0] = static_cast<char>(filled[0] - 'a' + 'A');
  return filled;
}

Question Topic::ask(const Fact& fact, const std::string& phrasing, const std::string& said) const {
  Question question{fact.fill(phrasing), fact.fill(answer), {}, kind};
  if (word_for_word) {
    question.accept = fact.accept;
    return question;
  }
  const std::string asked = spaced_words(said + " " + question.text), answered = spaced_words(question.answer);
  const auto occurs = [](const std::string& words, const std::string& key) {
    return words.find(spaced_words(key)) != std::string::npos;
  };
  for (const auto& key : fact.accept) {
    // "I" is the symbol of iodine, and no answer in "I do not know".
    if (!occurs(asked, key) && (key.size() > 1 || !std::isalpha(static_cast<unsigned char>(key[0])))) {
      question.accept.push_back(key);
      continue;
    }
    for (const char* before : {"is ", "in "}) {
      if (!occurs(asked, before + key)) question.accept.push_back(before + key);
    }
    // "What is nine over one?": "is nine" tells nothing, "one is nine" does.
    size_t begin = answered.rfind(spaced_words(key));
    if (begin == std::string::npos) continue;
    const size_t end = begin + spaced_words(key).size() - 1;
    while (begin > 0 && occurs(asked, answered.substr(begin, end - begin))) begin = answered.rfind(' ', begin - 1);
    const std::string longer = answered.substr(begin + 1, end - begin - 1);
    if (occurs(asked, longer)) continue;
    if (std::ranges::none_of(question.accept, [&](const auto& other) { return occurs(spaced_words(longer), other); })) {
      question.accept.push_back(longer);
    }
  }
  return question;
}

std::vector<Topic> read_topics(const std::filesystem::path& folder, Split split) {
  const TsvTable table = read_tsv(folder / "topics.tsv");
  std::vector<Topic> topics;
  std::map<std::string, TsvTable> tables;
  for (size_t row = 0; row < table.size(); ++row) {
    require(std::ranges::find(topics, table.at(row, "topic"), &Topic::kind) == topics.end(), table.place(row),
            ": the topic \"", table.at(row, "topic"), "\" comes twice");
    topics.push_back(read_topic(table, row, folder, split, tables));
  }
  const TsvTable phrasings = read_tsv(folder / "phrasings.tsv");
  for (size_t row = 0; row < phrasings.size(); ++row) {
    const auto topic = std::ranges::find(topics, phrasings.at(row, "topic"), &Topic::kind);
    require(topic != topics.end(), phrasings.place(row), ": unknown topic \"", phrasings.at(row, "topic"), "\"");
    const std::string& phrasing = phrasings.at(row, "question");
    try {
      topic->ask(topic->facts.front(), phrasing);
    } catch (const Error& error) {
      fail(phrasings.place(row), ": ", error.what(), " in the topic \"", topic->kind, "\"");
    }
    if (parse_split(phrasings.at(row, "split"), phrasings.place(row)) == split) topic->phrasings.push_back(phrasing);
  }
  for (const auto& topic : topics) {
    require(!topic.phrasings.empty(), phrasings.path().string(), " has no phrasing for \"", topic.kind, "\"");
  }
  return topics;
}

}  // namespace ichigo
