#include "text/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
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

// Looks for a key that an object has twice. (json::parse with a callback walks an object again for each one within.)
class KeyWatch : public nlohmann::json_sax<json> {
 public:
  const std::optional<std::string>& twice() const { return twice_; }
  bool start_object(size_t /*elements*/) override {
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool key(std::string& key) override {
    if (keys_.back().insert(key).second) return true;
    twice_ = key;
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(int64_t /*value*/) override { return true; }
  bool number_unsigned(uint64_t /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(json::binary_t& /*value*/) override { return true; }
  bool start_array(size_t /*elements*/) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t /*at*/, const std::string& /*token*/, const json::exception& /*error*/) override {
    return false;
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects around
  std::optional<std::string> twice_;
};

}  // namespace

json parse_json_object(std::string_view text, const std::string& where, JsonKeys keys) {
  check_proportions(text, where);
  json parsed;
  try {
    parsed = json::parse(text);
  } catch (const json::exception& error) {
    fail(where, " is not valid JSON: ", error.what());
  }
  require(parsed.is_object(), where, " is not a JSON object");
  if (keys == JsonKeys::kUnique) {
    KeyWatch watch;
    json::sax_parse(text, &watch);
    require(!watch.twice(), where, ": \"", watch.twice().value_or(""), "\" occurs twice");
  }
  return parsed;
}

std::string json_line(const json& json) {
  return json.dump(-1, ' ', false, json::error_handler_t::replace);
}
std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ichigo
