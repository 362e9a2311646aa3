// A full distance table walked back from its end; the walk prefers deletions, then insertions, as jiwer's does.
#include "evaluation/word_error_rate.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ichigo {
namespace {

std::vector<std::string_view> split_words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  for (size_t end = 0;;) {
    const size_t begin = text.find_first_not_of(kSpace, end);
    if (begin == std::string_view::npos) return words;
    end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
  }
}

enum Step : uint8_t { kDiagonal, kDelete, kInsert };

}  // namespace

double WordErrors::rate() const {
  if (words == 0) return errors() > 0 ? 1.0 : 0.0;
  return static_cast<double>(errors()) / static_cast<double>(words);
}

WordErrors& WordErrors::operator+=(const WordErrors& other) {
  substitutions += other.substitutions;
  deletions += other.deletions;
  insertions += other.insertions;
  words += other.words;
  return *this;
}

WordErrors count_word_errors(std::string_view reference, std::string_view hypothesis) {
  auto expected = split_words(reference), heard = split_words(hypothesis);
  WordErrors result;
  result.words = static_cast<int64_t>(expected.size());
  // What both share at the beginning and the end is never an error.
  const auto prefix = std::mismatch(expected.begin(), expected.end(), heard.begin(), heard.end());
  expected.erase(expected.begin(), prefix.first);
  heard.erase(heard.begin(), prefix.second);
  while (!expected.empty() && !heard.empty() && expected.back() == heard.back()) {
    expected.pop_back();
    heard.pop_back();
  }

  const size_t rows = heard.size() + 1, columns = expected.size() + 1;
  std::vector<uint8_t> steps(rows * columns);
  std::vector<int64_t> above(columns), here(columns);
  for (size_t j = 0; j < columns; ++j) here[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i < rows; ++i) {
    std::swap(above, here);
    here[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j < columns; ++j) {
      const int64_t change = above[j - 1] + (expected[j - 1] == heard[i - 1] ? 0 : 1);
      here[j] = std::min({change, above[j] + 1, here[j - 1] + 1});
      uint8_t& step = steps[i * columns + j];
      step = here[j] == here[j - 1] + 1 ? kDelete : above[j] < above[j - 1] ? kInsert : kDiagonal;
    }
  }
  size_t i = rows - 1, j = columns - 1;
  while (i > 0 && j > 0) {
    const uint8_t step = steps[i * columns + j];
    if (step == kDelete) {
      ++result.deletions;
    } else if (step == kInsert) {
      ++result.insertions;
    } else if (expected[j - 1] != heard[i - 1]) {
      ++result.substitutions;
    }
    if (step != kDelete) --i;
    if (step != kInsert) --j;
  }
  result.deletions += static_cast<int64_t>(j);
  result.insertions += static_cast<int64_t>(i);
  return result;
}

}  // namespace ichigo
