// `ichigo train --plan` of the paper's model, without its weights and its data.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace ichigo {
namespace {

const std::string kStage1 = ICHIGO_SOURCE_DIR "/recipes/ichigo_8b_stage1.yaml";

TEST(TrainPlan, TellsWhatThePapersStage1Takes) {
  const auto plan =
      test::run_program({"train", "--plan", kStage1, "--ranks", "10", "--device-memory", "48", "--peak", "155"});
  ASSERT_EQ(plan.code, 0) << plan.err;
  for (const char* part : {"8,034,480,128", "515 new rows", "8,064 steps of 215,040", "fits 48 GiB", "hours"}) {
    EXPECT_CONTAINS(plan.out, part);
  }
  const auto json = test::run_program({"train", "--plan", kStage1, "--ranks", "10", "--device-memory", "8", "--peak",
                                       "155", "--share", "0.5", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const auto result = nlohmann::json::parse(json.out);
  const double tokens = 8064.0 * 215040;
  EXPECT_EQ(result.at("parameters"), 8034480128);
  EXPECT_EQ(result.at("tokens"), tokens);
  EXPECT_DOUBLE_EQ(result.at("flop").at("matrices"), 6 * 8034480128.0 * tokens);
  EXPECT_EQ(result.at("fits"), false);
  const double flop = result.at("flop").at("total");
  EXPECT_NEAR(result.at("seconds").get<double>(), flop / (10 * 155e12 * 0.5), 1);
}

TEST(TrainPlan, SaysWhatIsWrong) {
  EXPECT_COMPLAINS(test::run_program({"train", kStage1, "--ranks", "2"}), 2, "--plan");
  EXPECT_COMPLAINS(test::run_program({"train", "--plan", kStage1, "--ranks", "0"}), 2, "--ranks");
  EXPECT_COMPLAINS(test::run_program({"train", "--plan", kStage1, "--device", "cuda"}), 2, "--device");
  EXPECT_COMPLAINS(test::run_program({"train", "--plan", "nowhere.yaml"}), 1, "nowhere.yaml");
  EXPECT_COMPLAINS(test::run_program({"train", "--plan", ICHIGO_SOURCE_DIR "/recipes/mini_sound_tokenizer.yaml"}), 1,
                   "decoder");
}

}  // namespace
}  // namespace ichigo
