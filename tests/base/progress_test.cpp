#include "base/progress.h"

#include <gtest/gtest.h>

#include <regex>

namespace ichigo {
namespace {

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(4.4), "4 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(123), "2 min 03 s");
  EXPECT_EQ(format_duration(3900), "1 h 05 min");
}

TEST(Progress, WritesPlainLinesWhenRedirected) {
  testing::internal::CaptureStderr();
  {
    Progress progress("read", 10, "rows", 2);
    progress.update(7, "loss 2.31");
    progress.finish();
    progress.finish();
  }
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(std::regex_match(shown, std::regex("read 7/10 rows, .*, loss 2\\.31\n"))) << shown;
}

}  // namespace
}  // namespace ichigo
