// Follows EnglishNumberNormalizer of openai-whisper rule by rule, oddities included ("o'clock" -> "0 clock"):
// published word error rates depend on them. Numbers have no upper bound, so they are strings of digits.
#include "text/number_words.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace ichigo {
namespace {

using Words = std::vector<std::string>;

struct NumberWords {
  std::set<std::string> zeros = {"o", "oh", "zero"};
  std::map<std::string, int> ones, tens, multipliers;  // multipliers: the number of zeros
  std::map<std::string, std::pair<int, std::string>> suffixed_ones, suffixed_tens, suffixed_multipliers;
  std::map<std::string, std::string> preceding = {{"minus", "-"}, {"negative", "-"}, {"plus", "+"}, {"positive", "+"}};
  std::map<std::string, std::string> following = {{"pound", "£"},  {"pounds", "£"},  {"euro", "€"}, {"euros", "€"},
                                                  {"dollar", "$"}, {"dollars", "$"}, {"cent", "¢"}, {"cents", "¢"}};
  std::set<std::string> specials = {"and", "double", "triple", "point"};

  NumberWords() {
    const char* const small[] = {"one",     "two",     "three",     "four",     "five",    "six",      "seven",
                                 "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen", "fourteen",
                                 "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    int value = 0;
    for (const std::string name : small) {
      ones[name] = ++value;
      suffixed_ones[name == "six" ? "sixes" : name + "s"] = {value, "s"};
      if (value > 3 && value != 5 && value != 12) {
        suffixed_ones[name + (name.ends_with('t') ? "h" : "th")] = {value, "th"};
      }
    }
    suffixed_ones.insert({{"zeroth", {0, "th"}},
                          {"first", {1, "st"}},
                          {"second", {2, "nd"}},
                          {"third", {3, "rd"}},
                          {"fifth", {5, "th"}},
                          {"twelfth", {12, "th"}}});
    value = 10;
    for (const std::string stem : {"twent", "thirt", "fort", "fift", "sixt", "sevent", "eight", "ninet"}) {
      value += 10;
      tens[stem + "y"] = value;
      suffixed_tens[stem + "ies"] = {value, "s"};
      suffixed_tens[stem + "ieth"] = {value, "th"};
    }
    multipliers["hundred"] = 2;
    int zeros_of = 0;
    for (const char* name : {"thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion",
                             "septillion", "octillion", "nonillion", "decillion"}) {
      multipliers[name] = zeros_of += 3;
    }
    for (const auto& [name, power] : multipliers) {
      suffixed_multipliers[name + "s"] = {power, "s"};
      suffixed_multipliers[name + "th"] = {power, "th"};
    }
  }

  bool contains(const std::string& word) const {
    return zeros.contains(word) || ones.contains(word) || tens.contains(word) || multipliers.contains(word) ||
           suffixed_ones.contains(word) || suffixed_tens.contains(word) || suffixed_multipliers.contains(word) ||
           preceding.contains(word) || following.contains(word) || word == "per" || word == "percent" ||
           specials.contains(word);
  }
  bool is_decimal(const std::string& word) const {
    return ones.contains(word) || tens.contains(word) || zeros.contains(word);
  }
};

const NumberWords& words_of_numbers() {
  static const NumberWords words;
  return words;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// digits, or digits.digits
bool is_numeral(std::string_view text) {
  const size_t point = text.find('.');
  return point == std::string_view::npos ? all_digits(text)
                                         : all_digits(text.substr(0, point)) && all_digits(text.substr(point + 1));
}

std::string without_leading_zeros(const std::string& digits) {
  const size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

// A decimal number times 10^power where that is a whole number. Nothing otherwise, or when it is no number.
std::optional<std::string> whole_product(const std::string& number, int power) {
  const size_t point = std::min(number.find('.'), number.size());
  const std::string whole = number.substr(0, point);
  std::string fraction = point < number.size() ? number.substr(point + 1) : "";
  if ((!whole.empty() && !all_digits(whole)) || (!fraction.empty() && !all_digits(fraction))) return std::nullopt;
  if (whole.empty() && fraction.empty()) return std::nullopt;
  const auto zeros = static_cast<size_t>(power);
  if (fraction.size() < zeros) fraction.resize(zeros, '0');
  if (fraction.find_first_not_of('0', zeros) != std::string::npos) return std::nullopt;
  return without_leading_zeros(whole + fraction.substr(0, zeros));
}

std::string sum(std::string a, std::string b) {
  if (a.size() < b.size()) std::swap(a, b);
  b.insert(0, a.size() - b.size(), '0');
  int carry = 0;
  for (size_t i = a.size(); i-- > 0;) {
    const int digit = a[i] - '0' + b[i] - '0' + carry;
    a[i] = static_cast<char>('0' + digit % 10);
    carry = digit / 10;
  }
  return carry > 0 ? "1" + a : a;
}

// The state of EnglishNumberNormalizer.process_words: a number in the making is an integer or a text.
class NumberReader {
 public:
  explicit NumberReader(const Words& words) : input_(words) {}

  std::string read() {
    for (size_t i = 0; i < input_.size(); ++i) {
      previous_ = i > 0 ? input_[i - 1] : "";
      next_ = i + 1 < input_.size() ? input_[i + 1] : "";
      if (step(input_[i])) ++i;
    }
    if (value_) put(*value_);
    return output_;
  }

 private:
  enum class Join { kAdd, kAppend, kReplaceZero };

  void put(const std::string& text) {
    if (!output_.empty()) output_ += ' ';
    output_ += prefix_ + text;
    value_.reset();
    prefix_.clear();
  }
  void flush() {
    if (value_) put(*value_);
  }
  void set_integer(const std::string& digits) {
    value_ = digits;
    is_text_ = false;
  }
  void set_text(const std::string& text) {
    value_ = text;
    is_text_ = true;
  }
  // Python's `value or ""`
  std::string value_or_empty() const { return !value_ || (!is_text_ && *value_ == "0") ? "" : *value_; }
  bool ends_in_zeros(size_t count) const {
    return *value_ == "0" || (value_->size() > count && value_->find_last_not_of('0') + count < value_->size());
  }

  // `number` (below 100) behind the value. Whether the result is a text is left in is_text_.
  std::string joined(int number, size_t zeros_needed, bool after_one) {
    const std::string digits = std::to_string(number);
    if (!value_) {
      is_text_ = false;
      return digits;
    }
    if (!is_text_ && !after_one && ends_in_zeros(zeros_needed)) return sum(*value_, digits);
    const bool replace = (is_text_ || after_one) && number < 10 && words_.tens.contains(previous_);
    is_text_ = true;
    return (replace ? value_->substr(0, value_->size() - 1) : *value_) + digits;
  }
  std::string joined_ones(int number) { return joined(number, number < 10 ? 1 : 2, words_.ones.contains(previous_)); }

  // value // 1000 * 1000 + value % 1000 * 10^power
  std::string multiplied(int power) const {
    const size_t split = value_->size() > 3 ? value_->size() - 3 : 0;
    const std::string before = split > 0 ? value_->substr(0, split) + "000" : "0";
    return without_leading_zeros(sum(before, value_->substr(split) + std::string(static_cast<size_t>(power), '0')));
  }

  bool step(const std::string& word);
  void read_numeral(const std::string& sign, const std::string& numeral, const std::string& word);
  void read_multiplier(int power, const std::string* suffix);
  bool read_special(const std::string& word);

  bool next_is_number() const { return is_numeral(next_); }

  const NumberWords& words_ = words_of_numbers();
  const Words& input_;
  std::string previous_, next_, output_, prefix_;
  std::optional<std::string> value_;
  bool is_text_ = false;
};

void NumberReader::read_numeral(const std::string& sign, const std::string& numeral, const std::string& word) {
  if (value_ && is_text_ && value_->ends_with('.')) return set_text(*value_ + word);
  flush();
  if (!sign.empty()) prefix_ = sign;
  const auto whole = whole_product(numeral, 0);
  whole ? set_integer(*whole) : set_text(numeral);
}

void NumberReader::read_multiplier(int power, const std::string* suffix) {
  const std::string alone = "1" + std::string(static_cast<size_t>(power), '0');
  if (!value_) {
    set_integer(alone);
  } else if (is_text_ || (*value_ == "0" && suffix == nullptr)) {
    if (const auto product = whole_product(*value_, power)) {
      set_integer(*product);
    } else {
      put(*value_);
      set_integer(alone);
    }
  } else {
    set_integer(multiplied(power));
  }
  if (suffix != nullptr) put(*value_ + *suffix);
}

bool NumberReader::read_special(const std::string& word) {
  if (!words_.contains(next_) && !next_is_number()) {
    flush();
    put(word);
  } else if (word == "and") {
    if (!words_.multipliers.contains(previous_)) {
      flush();
      put(word);
    }
  } else if (word == "point") {
    if (words_.is_decimal(next_) || next_is_number()) set_text(value_or_empty() + ".");
  } else {  // double, triple
    const auto digit = words_.ones.find(next_);
    if (digit == words_.ones.end() && !words_.zeros.contains(next_)) {
      flush();
      put(word);
      return false;
    }
    const std::string digits = digit == words_.ones.end() ? "0" : std::to_string(digit->second);
    set_text(value_or_empty() + digits + digits + (word == "triple" ? digits : ""));
    return true;
  }
  return false;
}

// Takes one word; returns whether the next one is used up as well.
bool NumberReader::step(const std::string& word) {
  std::string sign;
  for (const char* mark : {"-", "+", "£", "€", "$", "¢"}) {
    if (word.starts_with(mark)) sign = mark;
  }
  if (const std::string numeral = word.substr(sign.size()); is_numeral(numeral)) {
    read_numeral(sign, numeral, word);
  } else if (!words_.contains(word)) {
    flush();
    put(word);
  } else if (words_.zeros.contains(word)) {
    set_text(value_or_empty() + "0");
  } else if (const auto one = words_.ones.find(word); one != words_.ones.end()) {
    value_ = joined_ones(one->second);
  } else if (const auto found = words_.suffixed_ones.find(word); found != words_.suffixed_ones.end()) {
    put(joined_ones(found->second.first) + found->second.second);
  } else if (const auto ten = words_.tens.find(word); ten != words_.tens.end()) {
    value_ = joined(ten->second, 2, false);
  } else if (const auto found = words_.suffixed_tens.find(word); found != words_.suffixed_tens.end()) {
    put(joined(found->second.first, 2, false) + found->second.second);
  } else if (const auto multiplier = words_.multipliers.find(word); multiplier != words_.multipliers.end()) {
    read_multiplier(multiplier->second, nullptr);
  } else if (const auto found = words_.suffixed_multipliers.find(word); found != words_.suffixed_multipliers.end()) {
    read_multiplier(found->second.first, &found->second.second);
  } else if (const auto mark = words_.preceding.find(word); mark != words_.preceding.end()) {
    flush();
    if (words_.contains(next_) || next_is_number()) {
      prefix_ = mark->second;
    } else {
      put(word);
    }
  } else if (const auto currency = words_.following.find(word); currency != words_.following.end()) {
    if (value_) prefix_ = currency->second;
    put(value_ ? *value_ : word);
  } else if (word == "percent" || word == "per") {
    const bool percent = word == "percent" || next_ == "cent";
    if (value_ && percent) {
      put(*value_ + "%");
      return word == "per";
    }
    flush();
    put(word);
  } else {
    return read_special(word);
  }
  return false;
}

Words split_words(std::string_view text) {
  static const Regex word(R"(\S+)");
  Words out;
  word.for_each(text, [&](const Regex::Match& match) { out.emplace_back(match[0]); });
  return out;
}

// "<number> and a half" -> "<number> point five", and a space between digits and letters.
std::string prepared(const std::string& text) {
  static const Regex half(R"(\band\s+a\s+half\b)"), blank(R"(^\s*$)");
  static const Regex letter_digit("([a-z])([0-9])"), digit_letter("([0-9])([a-z])");
  static const Regex suffix(R"(([0-9])\s+(st|nd|rd|th|s)\b)");
  std::string out;
  const auto append = [&](std::string_view part) {
    if (!out.empty()) out += ' ';
    out += part;
  };
  size_t done = 0;
  half.for_each(text, [&](const Regex::Match& match) {
    const std::string segment = text.substr(done, match.begin() - done);
    done = match.end();
    const Words words = split_words(segment);
    if (words.empty()) return;
    append(segment);
    const bool number =
        words_of_numbers().is_decimal(words.back()) || words_of_numbers().multipliers.contains(words.back());
    append(number ? "point five" : "and a half");
  });
  const std::string rest = text.substr(done);
  if (!split_words(rest).empty()) append(rest);
  return suffix.replace(digit_letter.replace(letter_digit.replace(out, "$1 $2"), "$1 $2"), "$1$2");
}

// "$2 and ¢7" -> "$2.07"; "$0.07" -> "¢7"; a lone 1 is "one" again.
std::string finished(const std::string& text) {
  static const Regex with_cents(R"(([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b)"), only_cents(R"([€£$]0.([0-9]{1,2})\b)");
  static const Regex one(R"(\b1(s?)\b)");
  std::string out = with_cents.replace(text, [](const Regex::Match& match) {
    const std::string cents(match[3]);
    return std::string(match[1]) + std::string(match[2]) + "." + (cents.size() < 2 ? "0" : "") + cents;
  });
  out = only_cents.replace(
      out, [](const Regex::Match& match) { return "¢" + without_leading_zeros(std::string(match[1])); });
  return one.replace(out, "one$1");
}

}  // namespace

std::string digits_for_number_words(const std::string& text) {
  const Words words = split_words(prepared(text));
  return finished(NumberReader(words).read());
}

}  // namespace ichigo
