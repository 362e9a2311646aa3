// Sound without speech.
#include "audio/background.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace ichigo {
namespace {

double loudness(const std::vector<float>& samples) {
  const double energy = std::inner_product(samples.begin(), samples.end(), samples.begin(), 0.0);
  return 10 * std::log10(energy / static_cast<double>(samples.size()));
}

TEST(Background, IsAsLongAndAboutAsLoudAsItShouldBe) {
  Random random(3);
  std::vector<std::vector<float>> noises = {std::vector<float>(1000), std::vector<float>(30000)};
  for (auto& noise : noises) {
    for (auto& sample : noise) sample = static_cast<float>(0.2 * random.normal());
  }
  double least = 0, most = -100;
  for (int i = 0; i < 200; ++i) {
    const auto samples = background(1.5, noises, random);
    ASSERT_EQ(samples.size(), 24000U);
    for (const float sample : samples) ASSERT_TRUE(std::abs(sample) <= 1);
    least = std::min(least, loudness(samples));
    most = std::max(most, loudness(samples));
  }
  EXPECT_NEAR(least, -50, 3);
  EXPECT_NEAR(most, -13, 3);  // two layers may add up
}

TEST(Background, NeedsNoRecordingsAndFollowsItsGenerator) {
  Random a(5), b(5), c(6);
  const auto first = background(0.5, {}, a);
  EXPECT_EQ(first, background(0.5, {}, b));
  EXPECT_NE(first, background(0.5, {}, c));
  EXPECT_GT(loudness(first), -55);
}

}  // namespace
}  // namespace ichigo
