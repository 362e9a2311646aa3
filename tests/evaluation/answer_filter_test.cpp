#include "evaluation/answer_filter.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

TEST(AnswerFilter, ChainsWhatATaskFileNames) {
  const auto apply = [](const json& steps, const std::string& answer) {
    return parse_answer_filter({{"name", "n"}, {"filter", steps}}, "f")(answer);
  };
  const json strict = {{"function", "regex"}, {"regex_pattern", "#### (\\-?[0-9\\.\\,]+)"}};
  EXPECT_EQ(apply(json::array({strict, {{"function", "take_first"}}}), "so 3.\n#### 1,200\n#### 7"), "1,200");
  EXPECT_EQ(apply(json::array({strict}), "nothing"), "[invalid]");
  json flexible = {{"function", "regex"}, {"group_select", -1}, {"regex_pattern", "(-?[$0-9.,]{2,})|(-?[0-9]+)"}};
  EXPECT_EQ(apply(json::array({flexible}), "It costs $12.50, so 7"), "7");
  EXPECT_EQ(apply(json::array({flexible}), "7 then $12"), "$12");
  flexible["fallback"] = "none";
  EXPECT_EQ(apply(json::array({flexible}), "?"), "none");
  const json groups = {{"function", "regex"}, {"regex_pattern", "is(?: (A)| (B))?"}};
  EXPECT_EQ(apply(json::array({groups}), "it is B"), "B");
  EXPECT_EQ(apply(json::array({groups}), "it is C"), "[invalid]");  // a match whose groups are all empty
  EXPECT_EQ(apply(json::array({{{"function", "remove_whitespace"}}, {{"function", "uppercase"}}}), "\n  b "), "B");
  EXPECT_EQ(apply(json::array({{{"function", "regex"}, {"regex_pattern", "[A-D]"}}}), "is C or D"), "C");
  EXPECT_CONTAINS(test::error_of([&] {
                    apply(json::array({{{"function", "majority_vote"}}}), "");
                  }),
                  "f: the filter \"majority_vote\"");
  EXPECT_CONTAINS(test::error_of([&] {
                    apply(json::array({{{"function", "regex"}, {"regex_pattern", "("}}}), "");
                  }),
                  "not valid");
}

TEST(ExactMatch, IgnoresWhatItIsToldTo) {
  const auto equal = parse_exact_match(
      {{"metric", "exact_match"}, {"ignore_case", true}, {"regexes_to_ignore", {",", "\\$", "(?s).*#### ", "\\.$"}}},
      "f");
  EXPECT_TRUE(equal("1200", "each is\n3 #### $1,200."));
  EXPECT_TRUE(equal("ABC", "abc"));
  EXPECT_FALSE(equal("120", "1200"));
  const auto bare = parse_exact_match({{"ignore_punctuation", true}, {"ignore_numbers", true}}, "f");
  EXPECT_TRUE(bare("a-b1", "ab!"));
  EXPECT_FALSE(bare("A", "a"));
  EXPECT_CONTAINS(test::error_of([] { parse_exact_match({{"ignore_all", true}}, "f"); }), "\"ignore_all\"");
}

}  // namespace
}  // namespace ichigo
