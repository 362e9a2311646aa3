#include "text/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "weights/files.h"

namespace ichigo {
namespace {

TEST(JsonText, ParsesObjects) {
  EXPECT_EQ(parse_json_object(R"({"a": [1, {"b": "]]]]{\"\\"}], "a": 2})", "x.json")["a"], 2);
  EXPECT_EQ(parse_json_object(R"({"a": {"b": 1}, "b": {"b": 1}})", "x", JsonKeys::kUnique).size(), 2U);
}

TEST(JsonText, NamesWhatIsWrong) {
  const auto refused = [](const std::string& text, const std::string& part, JsonKeys keys = JsonKeys::kLastCounts) {
    test::expect_error([&] { parse_json_object(text, "x.json", keys); }, part);
    test::expect_error([&] { parse_json_object(text, "x.json", keys); }, "x.json");
  };
  refused("", "not valid JSON");
  refused("[1]", "not a JSON object");
  refused(R"({"a": 1, "a": 2})", "\"a\" occurs twice", JsonKeys::kUnique);
  refused(R"({"a": {"b": 1, "c": [{}], "b": 2}})", "\"b\" occurs twice", JsonKeys::kUnique);
  // A walk through these would overflow the stack, or memory.
  refused("{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}", "nested deeper");
  std::string zeros = "{\"a\": [0";
  for (int i = 0; i < 60000; ++i) zeros += ",0";
  refused(zeros + "]}", "values in");
}

TEST(JsonText, PrintsAnyBytes) {
  EXPECT_EQ(json_line(nlohmann::json{{"a", "caf\xE9"}}), "{\"a\":\"caf\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace ichigo
