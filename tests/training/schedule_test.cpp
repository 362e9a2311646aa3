#include "training/schedule.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ichigo {
namespace {

TEST(Schedule, WarmsUpThenFollowsACosine) {
  ScheduleConfig config;
  config.peak = 1.0, config.warmup_steps = 10, config.total_steps = 110, config.final_share = 0.1;
  EXPECT_EQ(learning_rate(config, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 5), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10), 1.0);
  EXPECT_NEAR(learning_rate(config, 60), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(config, 35), 0.1 + 0.9 * 0.8535533905932737, 1e-12);  // (1 + cos 45 degrees) / 2
  EXPECT_NEAR(learning_rate(config, 110), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate(config, 500), 0.1, 1e-12);
}

TEST(Schedule, ALaterEndOfTheCosineLeavesTheRateHighForTheNextRun) {
  ScheduleConfig whole;
  whole.peak = 1.0, whole.warmup_steps = 10, whole.total_steps = 110, whole.final_share = 0.1;
  ScheduleConfig half = whole;
  half.total_steps = 60, half.decay_steps = 110;
  half.validate();
  for (const int64_t step : {0, 9, 35, 60}) EXPECT_EQ(learning_rate(half, step), learning_rate(whole, step));
  EXPECT_NEAR(learning_rate(half, 60), 0.55, 1e-12);
}

TEST(Schedule, StaysConstantWithoutATotal) {
  ScheduleConfig config;
  config.peak = 0.5;
  EXPECT_EQ(learning_rate(config, 0), 0.5);
  EXPECT_EQ(learning_rate(config, 100000), 0.5);
}

TEST(Schedule, RefusesNonsense) {
  ScheduleConfig config;
  config.warmup_steps = 5, config.total_steps = 3;
  EXPECT_THROW(config.validate(), Error);
  config = {};
  config.peak = 0;
  EXPECT_THROW(config.validate(), Error);
  config = {};
  config.final_share = 1.5;
  EXPECT_THROW(config.validate(), Error);
  config = {};
  config.total_steps = 100, config.decay_steps = 50;
  EXPECT_THROW(config.validate(), Error);
}

}  // namespace
}  // namespace ichigo
