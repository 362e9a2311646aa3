#include "assistant/answer_timing.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ichigo {
namespace {

TEST(AnswerTiming, PartsAddUp) {
  AnswerTiming timing{.load = 600.4, .mel = 4, .encode = 38, .prefill = 110, .first_step = 20, .rest = 300};
  EXPECT_EQ(timing.summary(), "first token after 772 ms (load 600, mel 4, encode 38, prefill 110, first step 20)");
  EXPECT_DOUBLE_EQ(timing.to_json()["total"].get<double>(), 1072.4);
  EXPECT_FALSE(timing.to_json().contains("recognise"));
  timing.recognise = 100;
  EXPECT_EQ(timing.summary(),
            "first token after 872 ms (load 600, mel 4, encode 38, recognise 100, prefill 110, first step 20)");
  EXPECT_DOUBLE_EQ(timing.to_json()["first_token"].get<double>(), 872.4);
}

}  // namespace
}  // namespace ichigo
