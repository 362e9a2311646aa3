#include "data/spoken_style.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "data/questions.h"
#include "text/trim.h"

namespace ichigo {
namespace {

constexpr size_t kMostWords = 30;
constexpr int kMostSentences = 2;

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Typographic quotes and hyphens become plain ones.
std::string plain(std::string text) {
  for (const auto& [from, to] : {std::pair{"\u2018", "'"}, {"\u2019", "'"}, {"\u2010", "-"}, {"\u2011", "-"}}) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
      text.replace(at, std::string_view(from).size(), to);
    }
  }
  return text;
}

bool is_refusal(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kSigns[] = {"as an ai",    "language model", "as a voice assistant", "i cannot",
                                         "i can't",     "i'm sorry",      "i am sorry",           "i'm unable",
                                         "i am unable", "i'm not able",   "i don't have access",  "i'm just a",
                                         "i'm an ai",   "i am an ai",     "as a virtual"};
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return text.find(sign) != std::string::npos; });
}

// A word with the marks around it, digits spelled out; empty when it holds a number that is not 0 to 100.
std::string with_numbers_spelled(const std::string& word) {
  const auto first = std::ranges::find_if(word, is_digit);
  if (first == word.end()) return word;
  const auto last = std::find_if_not(first, word.end(), is_digit);
  const bool alone = std::none_of(word.begin(), first, is_letter) &&
                     std::none_of(last, word.end(), [](char c) { return is_letter(c) || is_digit(c); });
  const bool marked = first != word.begin() || last - first > 3 || (*first == '0' && last - first > 1);
  if (!alone || marked) return "";
  const int number = std::stoi(std::string(first, last));
  return number > 100 ? "" : number_words(number) + std::string(last, word.end());
}

bool repeats(const std::vector<std::string>& words) {
  std::set<std::string> seen;
  for (size_t i = 0; i + 3 <= words.size(); ++i) {
    if (!seen.insert(words[i] + ' ' + words[i + 1] + ' ' + words[i + 2]).second) return true;
  }
  return false;
}

}  // namespace

SpokenStyle spoken_style(const std::string& text) {
  const std::string line = plain(std::string(trimmed(text)));
  const auto refused = [](std::string why) { return SpokenStyle{"", std::move(why)}; };
  if (line.empty()) return refused("empty");
  if (line.find('\n') != std::string::npos) return refused("list or code");
  if (!std::ranges::all_of(line, [](char c) {
        return is_letter(c) || is_digit(c) || std::string_view(" .,?!'-").find(c) != std::string_view::npos;
      })) {
    return refused("marks or letters");
  }
  if (!is_letter(line.front()) && !is_digit(line.front())) return refused("marks or letters");
  if (std::string_view(".?!").find(line.back()) == std::string_view::npos) return refused("cut off");
  if (is_refusal(line)) return refused("refusal");

  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; stream >> word;) {
    if (std::ranges::none_of(word, [](char c) { return is_letter(c) || is_digit(c); }))
      return refused("marks or letters");
    words.push_back(with_numbers_spelled(word));
    if (words.back().empty()) return refused("number");
  }
  std::string result;
  int sentences = 0;
  for (const auto& word : words) {
    if (std::string_view(".?!").find(word.back()) != std::string_view::npos) ++sentences;
    result += (result.empty() ? "" : " ") + word;
  }
  result.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(result.front())));
  if (words.size() > kMostWords || sentences > kMostSentences) return refused("too long");
  if (repeats(words)) return refused("repetition");
  return {result, ""};
}

}  // namespace ichigo
