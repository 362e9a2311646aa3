// What lm-evaluation-harness does with generated text before it is scored: its filters, and the metric exact_match.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ichigo {

// A named chain of filters of a task file: "filter_list"[i].
struct AnswerFilter {
  std::string name;
  std::vector<std::function<std::string(const std::string&)>> steps;
  std::string operator()(std::string answer) const;
};

// {"name": …, "filter": [{"function": "regex", "regex_pattern": …, "group_select": 0, "fallback": "[invalid]"},
// {"function": "take_first" | "remove_whitespace" | "lowercase" | "uppercase"} …]}. Throws Error that begins with
// `where` and names what it does not know.
AnswerFilter parse_answer_filter(const nlohmann::json& json, const std::string& where);

// {"metric": "exact_match", "regexes_to_ignore": […], "ignore_case": …, "ignore_punctuation": …, "ignore_numbers": …}
// -> whether two texts are equal once both are freed of those. Throws Error.
std::function<bool(const std::string& answer, const std::string& target)> parse_exact_match(const nlohmann::json& json,
                                                                                            const std::string& where);

// Throws Error that begins with `where` unless every key of the object is among `known`.
void require_known_keys(const nlohmann::json& json, const std::vector<std::string>& known, const std::string& where);

}  // namespace ichigo
