#include "data/questions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace ichigo {
namespace {

struct TopicShare {
  const char* kind;
  double share;
};
constexpr std::array<TopicShare, 9> kShares{{{"capital", 0.15},
                                             {"continent", 0.10},
                                             {"currency", 0.14},
                                             {"arithmetic_add", 0.15},
                                             {"arithmetic_subtract", 0.15},
                                             {"arithmetic_multiply", 0.07},
                                             {"arithmetic_divide", 0.07},
                                             {"identity", 0.07},
                                             {"small_talk", 0.10}}};

double share_of(const std::string& kind) {
  const auto* found = std::ranges::find(kShares, kind, &TopicShare::kind);
  return found == kShares.end() ? 0 : found->share;
}

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

// Lower case, with everything but letters and digits turned to single spaces, and a space at both ends.
std::string words_of(const std::string& text) {
  std::string words = " ";
  for (const unsigned char c : text) {
    const bool letter = std::isalnum(c) || c >= 0x80;
    if (letter) words += static_cast<char>(std::tolower(c));
    if (!letter && c != '\'' && words.back() != ' ') words += ' ';
  }
  if (words.back() != ' ') words += ' ';
  return words;
}

std::string without_article(const std::string& text) {
  return text.starts_with("the ") ? text.substr(4) : text;
}

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

QuestionSet::QuestionSet(const std::filesystem::path& folder, Split split, const std::string& kind) {
  add_facts(folder, split);
  add_fixed(folder / "identity.tsv", "identity", split);
  add_fixed(folder / "small_talk.tsv", "small_talk", split);
  std::erase_if(topics_, [&](const Topic& topic) { return !topic.kind.starts_with(kind); });
  std::erase_if(fixed_, [&](const auto& fixed) { return !fixed.second.front().kind.starts_with(kind); });
  require(!topics_.empty() || !fixed_.empty(), "there are no questions of the kind \"", kind,
          "\": name capital, continent, currency, arithmetic, identity or small_talk");
}

void QuestionSet::add_facts(const std::filesystem::path& folder, Split split) {
  for (const char* kind : {"capital", "continent", "currency"}) topics_.push_back({kind, share_of(kind), {}, {}});
  for (const auto& operation : kOperations) {
    topics_.push_back({operation.kind, share_of(operation.kind), {}, {}});
    for (int a = 0; a <= 100; ++a) {
      for (int b = 0; b <= 100; ++b) {
        if (!operation.allowed(a, b)) continue;
        const int result = operation.result(a, b);
        topics_.back().facts.push_back(
            {{{"a", number_words(a)}, {"b", number_words(b)}, {"result", number_words(result)}},
             {number_words(result), std::to_string(result)}});
      }
    }
  }

  const TsvTable countries = read_tsv(folder / "countries.tsv");
  for (size_t row = 0; row < countries.size(); ++row) {
    for (size_t topic = 0; topic < 3; ++topic) {
      const std::string& column = topics_[topic].kind;
      const std::string& value = countries.at(row, column);
      const std::string& spoken = countries.at(row, "spoken");
      require(!value.empty() && !spoken.empty(), countries.place(row), ": \"spoken\" and \"", column,
              "\" must not be empty");
      Fact fact{{{"country", spoken}, {column, value}}, {without_article(value)}};
      if (column != "continent") {
        for (auto& other : split_alternatives(countries.at(row, "accept_" + column))) fact.accept.push_back(other);
      }
      topics_[topic].facts.push_back(std::move(fact));
    }
  }

  const TsvTable phrasings = read_tsv(folder / "phrasings.tsv");
  for (size_t row = 0; row < phrasings.size(); ++row) {
    const auto topic = std::ranges::find(topics_, phrasings.at(row, "topic"), &Topic::kind);
    require(topic != topics_.end(), phrasings.place(row), ": unknown topic \"", phrasings.at(row, "topic"), "\"");
    const Phrasing phrasing{phrasings.at(row, "question"), phrasings.at(row, "answer")};
    require(!topic->facts.empty(), folder.string(), "/countries.tsv names no country");
    try {
      ask(*topic, topic->facts.front(), phrasing);
    } catch (const Error& error) {
      fail(phrasings.place(row), ": ", error.what());
    }
    if (parse_split(phrasings.at(row, "split"), phrasings.place(row)) == split) topic->phrasings.push_back(phrasing);
  }
  for (const auto& topic : topics_) {
    require(!topic.phrasings.empty(), phrasings.path().string(), " has no phrasing for \"", topic.kind, "\"");
  }
}

void QuestionSet::add_fixed(const std::filesystem::path& path, const std::string& kind, Split split) {
  const TsvTable table = read_tsv(path);
  std::vector<Question> questions;
  for (size_t row = 0; row < table.size(); ++row) {
    if (parse_split(table.at(row, "split"), table.place(row)) != split) continue;
    Question question{table.at(row, "question"), table.at(row, "answer"), split_alternatives(table.at(row, "accept")),
                      kind};
    require(!question.text.empty() && !question.answer.empty() && !question.accept.empty(), table.place(row),
            ": question, answer and accept must not be empty");
    questions.push_back(std::move(question));
  }
  require(!questions.empty(), path.string(), " has no questions of this split");
  fixed_.emplace_back(share_of(kind), std::move(questions));
}

Question QuestionSet::ask(const Topic& topic, const Fact& fact, const Phrasing& phrasing) {
  const auto fill = [&](const std::string& text) {
    std::string filled;
    for (size_t position = 0; position < text.size();) {
      const size_t open = std::min(text.find('{', position), text.size());
      filled += text.substr(position, open - position);
      if (open == text.size()) break;
      const size_t close = text.find('}', open);
      require(close != std::string::npos, "a \"{\" is not closed in \"", text, "\"");
      const std::string name = text.substr(open + 1, close - open - 1);
      const auto value = std::ranges::find(fact.values, name, &std::pair<std::string, std::string>::first);
      require(value != fact.values.end(), "{", name, "} is not known for the topic \"", topic.kind, "\" in \"", text,
              "\"");
      filled += value->second;
      position = close + 1;
    }
    return capitalized(filled);
  };
  Question question{fill(phrasing.question), fill(phrasing.answer), {}, topic.kind};
  const std::string asked = words_of(question.text), answer = words_of(question.answer);
  const auto occurs = [](const std::string& words, const std::string& key) {
    return words.find(words_of(key)) != std::string::npos;
  };
  for (const auto& key : fact.accept) {
    if (!occurs(asked, key)) {
      question.accept.push_back(key);
      continue;
    }
    for (const char* before : {"is ", "in "}) {
      if (!occurs(asked, before + key)) question.accept.push_back(before + key);
    }
    // "What is nine over one?": "is nine" tells nothing, "one is nine" does.
    size_t begin = answer.rfind(words_of(key));
    if (begin == std::string::npos) continue;
    const size_t end = begin + words_of(key).size() - 1;
    while (begin > 0 && occurs(asked, answer.substr(begin, end - begin))) begin = answer.rfind(' ', begin - 1);
    const std::string longer = answer.substr(begin + 1, end - begin - 1);
    if (std::ranges::none_of(question.accept, [&](const auto& other) { return occurs(words_of(longer), other); })) {
      question.accept.push_back(longer);
    }
  }
  return question;
}

std::vector<Question> QuestionSet::draw(int64_t count, uint64_t seed) const {
  std::vector<Question> drawn;
  double share_done = 0;
  // Rounding the running total gives every kind its share and all of them together exactly `count`.
  const auto quota = [&](double share) {
    share_done += share;
    double total = 0;
    for (const auto& topic : topics_) total += topic.share;
    for (const auto& fixed : fixed_) total += fixed.first;
    return std::llround(static_cast<double>(count) * share_done / total) - static_cast<int64_t>(drawn.size());
  };
  for (const auto& topic : topics_) {
    Random random = Random::keyed(seed, stable_hash(topic.kind));
    std::vector<size_t> order(topic.facts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const uint64_t first = random.next() >> 1;
    const int64_t wanted = quota(topic.share);
    const auto facts = static_cast<int64_t>(order.size()), phrasings = static_cast<int64_t>(topic.phrasings.size());
    for (int64_t i = 0; i < wanted; ++i) {
      if (i % facts == 0) random.shuffle(order);
      const size_t fact = order[static_cast<size_t>(i % facts)];
      std::vector<size_t> mine(topic.phrasings.size());
      std::iota(mine.begin(), mine.end(), size_t{0});
      Random::keyed(first, fact).shuffle(mine);
      drawn.push_back(ask(topic, topic.facts[fact], topic.phrasings[mine[static_cast<size_t>(i / facts % phrasings)]]));
    }
  }
  for (const auto& [share, questions] : fixed_) {
    Random random = Random::keyed(seed, stable_hash(questions.front().kind));
    std::vector<Question> order = questions;
    const int64_t wanted = quota(share);
    for (int64_t i = 0; i < wanted; ++i) {
      const auto place = static_cast<size_t>(i) % order.size();
      if (place == 0) random.shuffle(order);
      drawn.push_back(order[place]);
    }
  }
  Random::keyed(seed, stable_hash("questions")).shuffle(drawn);
  return drawn;
}

std::vector<Question> QuestionSet::all() const {
  std::vector<Question> questions;
  for (const auto& topic : topics_) {
    for (const auto& fact : topic.facts) {
      for (const auto& phrasing : topic.phrasings) questions.push_back(ask(topic, fact, phrasing));
    }
  }
  for (const auto& [share, fixed] : fixed_) questions.insert(questions.end(), fixed.begin(), fixed.end());
  return questions;
}

}  // namespace ichigo
