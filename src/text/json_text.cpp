#include "text/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"

namespace ichigo {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;

// Before parsing, which takes memory for each value however short it is written: refuses what is nested too deeply, and
// many values in few bytes.
void check_proportions(std::string_view text, const std::string& where) {
  size_t depth = 0, deepest = 0, values = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    } else if (c == ',') {
      ++values;
    }
  }
  require(deepest <= kMaxDepth, where, " is JSON nested deeper than ", kMaxDepth, " levels");
  // An array that grows takes up to twice what is in it.
  require(2 * values * sizeof(json) <= 4 * text.size() + (size_t{1} << 20), where, " is JSON of ", values,
          " values in ", text.size(), " bytes, which no model's files are");
}

json parse_unique(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) twice = value;
    return true;
  };
  json parsed = json::parse(text, watch);
  require(twice.empty(), where, ": \"", twice, "\" occurs twice");
  return parsed;
}

}  // namespace

json parse_json_object(std::string_view text, const std::string& where, JsonKeys keys) {
  check_proportions(text, where);
  json parsed;
  try {
    parsed = keys == JsonKeys::kUnique ? parse_unique(text, where) : json::parse(text);
  } catch (const json::exception& error) {
    fail(where, " is not valid JSON: ", error.what());
  }
  require(parsed.is_object(), where, " is not a JSON object");
  return parsed;
}

std::string json_line(const json& json) {
  return json.dump(-1, ' ', false, json::error_handler_t::replace);
}
std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ichigo
