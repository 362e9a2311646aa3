#include "evaluation/judge.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "base/error.h"
#include "evaluation/questions.h"
#include "text/normalize.h"

namespace ichigo {
namespace {

constexpr size_t kFactWords = 4;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : normalize_english(text)) {
    if (c != ' ') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// F1 of the words that both have, each as often as it stands in both.
double word_overlap(const std::vector<std::string>& reference, const std::vector<std::string>& answer) {
  std::map<std::string, int64_t> left;
  for (const auto& word : reference) ++left[word];
  int64_t shared = 0;
  for (const auto& word : answer) shared += left[word]-- > 0 ? 1 : 0;
  return 2 * static_cast<double>(shared) / static_cast<double>(std::max<size_t>(1, reference.size() + answer.size()));
}

class BuiltInJudge : public Judge {
 public:
  std::string name() const override { return "builtin"; }
  Rating rate(const AnswerToJudge& item) override {
    const auto answer = words_of(item.answer);
    double best = 0;
    for (const auto& reference : item.references) {
      const auto words = words_of(reference);
      const bool fact = words.size() <= kFactWords;
      best = std::max(best, fact ? (is_right(item.answer, {reference}) ? 1 : 0) : word_overlap(words, answer));
    }
    return {.score = std::round(5 * best)};
  }
};

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : " or: ") + part;
  return text;
}

class EndpointJudge : public Judge {
 public:
  EndpointJudge(ChatEndpoint endpoint, std::string prompt)
      : endpoint_(std::move(endpoint)), prompt_(std::move(prompt)) {
    const auto has = [&](const char* name) { return prompt_.find(name) != std::string::npos; };
    require(has("{question}") && has("{reference}") && (has("{answer}") || has("{prediction}")),
            "the judge's prompt must have {question}, {reference} and {answer} in it");
  }
  std::string name() const override { return endpoint_.model + "@" + endpoint_.url; }
  Rating rate(const AnswerToJudge& item) override {
    Rating rating{.words = complete(endpoint_, filled(item))};
    const auto score = parse_rating(rating.words);
    rating.understood = score.has_value();
    rating.score = score.value_or(0);
    return rating;
  }

 private:
  // What is put in is not looked at again: an answer may have braces.
  std::string filled(const AnswerToJudge& item) const {
    const std::string reference = joined(item.references);
    const std::pair<std::string_view, const std::string*> values[] = {{"{question}", &item.question},
                                                                      {"{reference}", &reference},
                                                                      {"{answer}", &item.answer},
                                                                      {"{prediction}", &item.answer}};
    std::string text;
    for (size_t at = 0; at < prompt_.size();) {
      const auto* found = std::ranges::find_if(
          values, [&](const auto& value) { return prompt_.compare(at, value.first.size(), value.first) == 0; });
      if (found == std::end(values)) {
        text += prompt_[at++];
      } else {
        text += *found->second;
        at += found->first.size();
      }
    }
    return text;
  }

  ChatEndpoint endpoint_;
  std::string prompt_;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::optional<double> correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto count = static_cast<double>(a.size());
  double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / count;
    mean_b += b[i] / count;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
    ab += (a[i] - mean_a) * (b[i] - mean_b);
  }
  constexpr double kNothing = 1e-12;
  if (aa < kNothing || bb < kNothing) return std::nullopt;
  return ab / std::sqrt(aa * bb);
}

}  // namespace

const std::string& default_judge_prompt() {
  static const std::string prompt =
      R"(You are given a question, a reference answer and the answer of an assistant.

[Question]
{question}

[Reference Answer]
{reference}

[Answer of the Assistant]
{answer}

Say how well the assistant's answer agrees with the reference: does it say the same, is it correct, does it belong to the question? Be strict about details. Give whole points:
0: it agrees in nothing: wrong, beside the question, or no answer.
1: it agrees in hardly anything; most of it is wrong or beside the question.
2: it is about the right thing, but differs from the reference in much of what it says.
3: it agrees with the reference on the whole, but lacks details or is inexact in places.
4: it is correct but for little things, or could be clearer or more complete.
5: it is correct and complete: everything that matters in the reference is said.

Answer in this form:
Explanation: (one or two sentences that compare the two answers)
Rating: (the whole number alone)
)";
  return prompt;
}

std::unique_ptr<Judge> built_in_judge() {
  return std::make_unique<BuiltInJudge>();
}

std::unique_ptr<Judge> endpoint_judge(ChatEndpoint endpoint, const std::string& prompt) {
  return std::make_unique<EndpointJudge>(std::move(endpoint), prompt);
}

std::optional<double> parse_rating(const std::string& words) {
  constexpr const char* kSpace = " \t\r\n*_`\"'()[].";
  size_t begin = words.rfind("Rating:");
  if (begin == std::string::npos) {
    const size_t end = words.find_last_not_of(kSpace);
    if (end == std::string::npos) return std::nullopt;
    begin = words.find_last_of(" \t\r\n", end) + 1;  // npos + 1: the beginning
  } else {
    begin += 7;
  }
  begin = words.find_first_not_of(kSpace, begin);
  if (begin == std::string::npos || words[begin] < '0' || words[begin] > '5') return std::nullopt;
  // "4.5" and "4/5" are ratings, "45" is none.
  size_t end = begin + 1;
  if (end + 1 < words.size() && words[end] == '.' && words[end + 1] >= '0' && words[end + 1] <= '9') {
    end = words.find_first_not_of("0123456789", end + 1);
  }
  end = std::min(end, words.size());
  if (end < words.size() && std::isalnum(static_cast<unsigned char>(words[end])) != 0) return std::nullopt;
  const double rating = std::stod(words.substr(begin, end - begin));
  return rating <= 5 ? std::optional(rating) : std::nullopt;
}

std::vector<std::unique_ptr<Judge>> make_judges(const std::vector<std::string>& names, const std::string& keys,
                                                const std::string& prompt) {
  const auto endpoints =
      static_cast<size_t>(std::ranges::count_if(names, [](const auto& name) { return name != "builtin"; }));
  const auto given = keys.empty() ? std::vector<std::string>(endpoints) : split(keys, ',');
  require(endpoints == 0 || given.size() == endpoints, "there are ", endpoints, " judges to ask but ", given.size(),
          " keys: give one for each, split by commas, an empty one where none is needed");
  std::vector<std::unique_ptr<Judge>> judges;
  size_t key = 0;
  for (const auto& name : names) {
    if (name == "builtin") {
      judges.push_back(built_in_judge());
      continue;
    }
    const size_t at = name.find("@http");
    require(at != std::string::npos && at > 0, "the judge \"", name,
            "\" is neither \"builtin\" nor MODEL@URL, such as llama3@http://localhost:8000/v1");
    judges.push_back(
        endpoint_judge({.url = name.substr(at + 1), .model = name.substr(0, at), .key = given[key++]}, prompt));
  }
  return judges;
}

std::vector<JudgeAgreement> judge_agreement(const std::vector<std::string>& names,
                                            const std::vector<std::vector<double>>& scores) {
  require(!scores.empty() && !scores[0].empty(), "there are no scores to compare");
  std::vector<JudgeAgreement> pairs;
  for (size_t a = 0; a < names.size(); ++a) {
    for (size_t b = a + 1; b < names.size(); ++b) {
      int64_t close = 0;
      for (size_t i = 0; i < scores[a].size(); ++i) close += std::abs(scores[a][i] - scores[b][i]) <= 1 ? 1 : 0;
      pairs.push_back({.first = names[a],
                       .second = names[b],
                       .within_one = static_cast<double>(close) / static_cast<double>(scores[a].size()),
                       .pearson = correlation(scores[a], scores[b])});
    }
  }
  return pairs;
}

}  // namespace ichigo
