#include "evaluation/answer_filter.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/regex.h"
#include "text/trim.h"
#include "text/unicode.h"

namespace ichigo {

using nlohmann::json;

namespace {

// Python's re.findall for one text, of which the harness takes the first group that matched something.
std::function<std::string(const std::string&)> regex_filter(const json& json, const std::string& where) {
  require_known_keys(json, {"function", "regex_pattern", "group_select", "fallback"}, where);
  const Regex regex(json.value("regex_pattern", R"(#### (\-?[0-9\.\,]+))"));
  const auto select = json.value("group_select", int64_t{0});
  const std::string fallback = json.value("fallback", "[invalid]");
  return [regex, select, fallback](const std::string& answer) {
    std::vector<std::string> found;
    regex.for_each(answer, [&](const Regex::Match& match) {
      std::string_view text = regex.groups() == 0 ? match[0] : "";
      for (size_t group = 1; group <= regex.groups() && text.empty(); ++group) text = match[group];
      found.emplace_back(trimmed(regex.groups() > 1 && text.empty() ? fallback : text));
    });
    const auto size = static_cast<int64_t>(found.size());
    const int64_t index = select < 0 ? select + size : select;
    return index >= 0 && index < size ? found[static_cast<size_t>(index)] : fallback;
  };
}

std::string upper_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

}  // namespace

void require_known_keys(const json& json, const std::vector<std::string>& known, const std::string& where) {
  require(json.is_object(), where, " is not a mapping");
  for (const auto& [key, value] : json.items()) {
    require(std::ranges::find(known, key) != known.end(), where, ": the key \"", key, "\" is not supported");
  }
}

std::string AnswerFilter::operator()(std::string answer) const {
  for (const auto& step : steps) answer = step(answer);
  return answer;
}

AnswerFilter parse_answer_filter(const json& json, const std::string& where) {
  require_known_keys(json, {"name", "filter"}, where);
  AnswerFilter filter{.name = json.at("name").get<std::string>()};
  for (const auto& step : json.at("filter")) {
    const std::string name = step.value("function", "");
    if (name == "regex") {
      filter.steps.push_back(regex_filter(step, where));
      continue;
    }
    require_known_keys(step, {"function"}, where + ": " + name);
    if (name == "remove_whitespace") {
      filter.steps.emplace_back([](const std::string& text) { return std::string(trimmed(text)); });
    } else if (name == "lowercase") {
      filter.steps.emplace_back([](const std::string& text) { return lower_case(text); });
    } else if (name == "uppercase") {
      filter.steps.emplace_back(upper_case);
    } else {
      require(name == "take_first", where, ": the filter \"", name, "\" is not supported");
    }
  }
  return filter;
}

std::function<bool(const std::string&, const std::string&)> parse_exact_match(const json& json,
                                                                              const std::string& where) {
  require_known_keys(json,
                     {"metric", "aggregation", "higher_is_better", "regexes_to_ignore", "ignore_case",
                      "ignore_punctuation", "ignore_numbers"},
                     where);
  std::vector<Regex> ignored;
  for (const auto& pattern : json.value("regexes_to_ignore", std::vector<std::string>())) ignored.emplace_back(pattern);
  const bool any_case = json.value("ignore_case", false), punctuation = json.value("ignore_punctuation", false),
             numbers = json.value("ignore_numbers", false);
  const auto bare = [=](std::string text) {
    for (const auto& regex : ignored) text = regex.replace(text, "");
    if (any_case) text = lower_case(text);
    std::erase_if(text,
                  [&](char c) { return (punctuation && is_punctuation(c)) || (numbers && c >= '0' && c <= '9'); });
    return text;
  };
  return [bare](const std::string& answer, const std::string& target) { return bare(answer) == bare(target); };
}

}  // namespace ichigo
