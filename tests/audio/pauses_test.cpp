#include "audio/pauses.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ichigo {
namespace {

std::vector<float> tone(double seconds) {
  std::vector<float> samples(static_cast<size_t>(seconds * 16000));
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3F * std::sin(0.05F * static_cast<float>(i));
  return samples;
}

void silence(std::vector<float>& samples, double begin, double end) {
  std::fill(samples.begin() + static_cast<int>(begin * 16000), samples.begin() + static_cast<int>(end * 16000), 0.F);
}

TEST(Pauses, AreWhereLongAudioIsCut) {
  std::vector<float> samples = tone(61);
  silence(samples, 28.3, 28.5);
  silence(samples, 56.6, 56.8);
  silence(samples, 10, 12);  // a pause too early to split at
  const auto starts = split_at_pauses(samples);
  ASSERT_EQ(starts.size(), 3U);
  EXPECT_EQ(starts[0], 0U);
  EXPECT_NEAR(static_cast<double>(starts[1]) / 16000, 28.4, 0.1);
  EXPECT_NEAR(static_cast<double>(starts[2]) / 16000, 56.7, 0.1);
  EXPECT_EQ(starts[1] % 640, 0U);
  EXPECT_EQ(split_at_pauses(std::span(samples).first(16000 * 29)).size(), 1U);
  EXPECT_EQ(split_at_pauses({}).size(), 1U);
}

// Positions by the original's rule, worked out by hand: candidates every 0.1 s from 19 s behind a piece's beginning,
// the first of the quietest wins, one that reaches the stretch's end is left out, the cut is where it begins.
TEST(Pauses, AreFoundAsIchigoAsrFindsThem) {
  std::vector<float> samples = tone(50.05);
  silence(samples, 19.45, 19.75);  // the candidates at 19.5 and 19.6 lie within
  silence(samples, 39.9, 40.0);
  EXPECT_EQ(split_at_pauses(samples, kReadingPauses), (std::vector<size_t>{0, 312000, 638400}));
  const auto pieces = pieces_at_pauses(samples, kReadingPauses);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].data(), samples.data() + 312000);
  EXPECT_EQ(pieces[0].size() + pieces[1].size() + pieces[2].size(), samples.size());

  EXPECT_EQ(split_at_pauses(std::span(samples).first(320000), kReadingPauses).size(), 1U);
  std::vector<float> short_tail = tone(20.1);
  silence(short_tail, 20.0, 20.1);
  silence(short_tail, 19.3, 19.34);
  EXPECT_EQ(split_at_pauses(short_tail, kReadingPauses), (std::vector<size_t>{0, 308800}));
}

}  // namespace
}  // namespace ichigo
