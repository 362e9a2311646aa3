// The order of the substitutions is the original's: later ones see what earlier ones wrote.
#include "text/normalize.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "text/number_words.h"
#include "text/regex.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

#include "text/english_spelling.inc"

struct Replacer {
  Regex pattern;
  std::string replacement;
};

// A word replaced by another text / the end of a word replaced.
std::vector<Replacer> english_replacers() {
  std::vector<Replacer> out;
  const auto add = [&](const std::string& pattern, const char* replacement) {
    out.push_back({Regex(pattern + R"(\b)"), replacement});
  };
  for (const auto& [word, replacement] : std::initializer_list<std::pair<const char*, const char*>>{
           {"won't", "will not"},      {"can't", "can not"},      {"let's", "let us"},      {"ain't", "aint"},
           {"y'all", "you all"},       {"wanna", "want to"},      {"gotta", "got to"},      {"gonna", "going to"},
           {"i'ma", "i am going to"},  {"imma", "i am going to"}, {"woulda", "would have"}, {"coulda", "could have"},
           {"shoulda", "should have"}, {"ma'am", "madam"},        {"mr", "mister "},        {"mrs", "missus "},
           {"st", "saint "},           {"dr", "doctor "},         {"prof", "professor "},   {"capt", "captain "},
           {"gov", "governor "},       {"ald", "alderman "},      {"gen", "general "},      {"sen", "senator "},
           {"rep", "representative "}, {"pres", "president "},    {"rev", "reverend "},     {"hon", "honorable "},
           {"asst", "assistant "},     {"assoc", "associate "},   {"lt", "lieutenant "},    {"col", "colonel "},
           {"jr", "junior "},          {"sr", "senior "},         {"esq", "esquire "}}) {
    add(std::string(R"(\b)") + word, replacement);
  }
  for (const auto& [ending, replacement] :
       std::initializer_list<std::pair<const char*, const char*>>{{"'d been", " had been"},
                                                                  {"'s been", " has been"},
                                                                  {"'d gone", " had gone"},
                                                                  {"'s gone", " has gone"},
                                                                  {"'d done", " had done"},
                                                                  {"'s got", " has got"},
                                                                  {"n't", " not"},
                                                                  {"'re", " are"},
                                                                  {"'s", " is"},
                                                                  {"'d", " would"},
                                                                  {"'ll", " will"},
                                                                  {"'t", " not"},
                                                                  {"'ve", " have"},
                                                                  {"'m", " am"}}) {
    add(ending, replacement);
  }
  return out;
}

// Lower case without <...>, [...] and (...) remarks. Python counts U+001C to U+001F among the spaces.
std::string without_remarks(std::string_view text) {
  static const Regex separator(R"([\x1c-\x1f])"), bracketed(R"([<\[][^>\]]*[>\]])"), parenthesis(R"(\(([^)]+?)\))");
  const std::string valid = encode_utf8(decode_utf8(text));
  return parenthesis.replace(bracketed.replace(lower_case(separator.replace(valid, " ")), ""), "");
}

std::string with_single_spaces(const std::string& text) {
  static const Regex spaces(R"(\s+)");
  return spaces.replace(text, " ");
}

// Letters that NFKD leaves whole.
const std::unordered_map<char32_t, const char*>& plain_letters() {
  static const std::unordered_map<char32_t, const char*> letters = {
      {U'œ', "oe"}, {U'Œ', "OE"}, {U'ø', "o"}, {U'Ø', "O"}, {U'æ', "ae"}, {U'Æ', "AE"}, {U'ß', "ss"}, {U'ẞ', "SS"},
      {U'đ', "d"},  {U'Đ', "D"},  {U'ð', "d"}, {U'Ð', "D"}, {U'þ', "th"}, {U'Þ', "th"}, {U'ł', "l"},  {U'Ł', "L"}};
  return letters;
}

std::string without_symbols_and_diacritics(const std::string& text) {
  static const Regex diacritic(R"(\p{Mn})"), symbol(R"((?![.%$¢€£])[\p{M}\p{S}\p{P}])");
  std::string out;
  for (const char32_t letter : decode_utf8(normalize_nfkd(text))) {
    const auto found = plain_letters().find(letter);
    found == plain_letters().end() ? append_utf8(out, letter) : static_cast<void>(out += found->second);
  }
  return symbol.replace(diacritic.replace(out, ""), " ");
}

std::string with_american_spelling(const std::string& text) {
  static const auto spelling = [] {
    std::unordered_map<std::string_view, std::string_view> out;
    for (std::string_view rest = kEnglishSpelling; !rest.empty();) {
      const size_t equals = rest.find('='), end = rest.find(';');
      out.emplace(rest.substr(0, equals), rest.substr(equals + 1, end - equals - 1));
      rest.remove_prefix(end + 1);
    }
    return out;
  }();
  static const Regex word(R"(\S+)");
  std::string out;
  word.for_each(text, [&](const Regex::Match& match) {
    const auto found = spelling.find(match[0]);
    if (!out.empty()) out += ' ';
    out += found == spelling.end() ? match[0] : found->second;
  });
  return out;
}

}  // namespace

std::string normalize_basic(std::string_view text) {
  static const Regex symbol(R"([\p{M}\p{S}\p{P}])");
  return with_single_spaces(lower_case(symbol.replace(normalize_nfkc(without_remarks(text)), " ")));
}

std::string normalize_english(std::string_view text) {
  static const Regex fillers(R"(\b(hmm|mm|mhm|mmm|uh|um)\b)"), before_apostrophe(R"(\s+')");
  static const Regex digit_comma(R"(([0-9]),([0-9]))"), period(R"(\.([^0-9]|$))");
  static const Regex lone_prefix("[.$¢€£]([^0-9])"), lone_percent("([^0-9])%");
  static const std::vector<Replacer> replacers = english_replacers();

  std::string out = before_apostrophe.replace(fillers.replace(without_remarks(text), ""), "'");
  for (const auto& [pattern, replacement] : replacers) out = pattern.replace(out, replacement);
  out = period.replace(digit_comma.replace(out, "$1$2"), " $1");
  out = with_american_spelling(digits_for_number_words(without_symbols_and_diacritics(out)));
  return with_single_spaces(lone_percent.replace(lone_prefix.replace(out, " $1"), "$1 "));
}

}  // namespace ichigo
