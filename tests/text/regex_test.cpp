#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ichigo {
namespace {

TEST(Regex, VisitsMatchesFromLeftToRight) {
  std::string found;
  Regex("([a-z])(\\d*)").for_each("a12 b\xC3\xA9 c3", [&](const Regex::Match& match) {
    found.append(match[0]).append("=").append(match[1]).append("+").append(match[2]).append(" ");
  });
  EXPECT_EQ(found, "a12=a+12 b=b+ c3=c+3 ");
}

TEST(Regex, LongRunsAreNoReasonToGiveUp) {
  int matches = 0;
  Regex("\\s+(?!\\S)|\\s+|\\S+")
      .for_each(std::string(2'000'000, ' ') + std::string(2'000'000, 'a'),
                [&](const Regex::Match& /*match*/) { ++matches; });
  EXPECT_EQ(matches, 3);
}

// Each letter can be one of twelve alternatives, in every combination.
TEST(Regex, TryingEveryCombinationIsGivenUp) {
  std::string alternatives = "\\w";
  for (int i = 0; i < 11; ++i) alternatives += "|\\w";
  const Regex regex("(?:" + alternatives + ")+[\\x00\\x01]");
  EXPECT_THROW(regex.for_each("assistant", [](const Regex::Match& /*match*/) {}), Error);
}

}  // namespace
}  // namespace ichigo
