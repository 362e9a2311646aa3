#include "audio/resampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace ichigo {
namespace {

std::vector<float> sine(double hertz, double rate, double seconds) {
  std::vector<float> samples(static_cast<size_t>(rate * seconds));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<float>(0.5 * std::sin(2 * M_PI * hertz * static_cast<double>(i) / rate));
  }
  return samples;
}

TEST(Resampler, ASineStaysTheSameSine) {
  for (const double from : {8000, 11025, 22050, 44100, 48000, 96000}) {
    const auto result = resample(sine(440, from, 1), from, 16000);
    const auto expected = sine(440, 16000, 1);
    ASSERT_NEAR(result.size(), expected.size(), 1) << from;
    for (size_t i = 800; i < 15200; ++i) ASSERT_NEAR(result[i], expected[i], 1e-3) << from << " " << i;
  }
}

TEST(Resampler, WhatTheLowerRateCannotHoldIsRemoved) {
  const auto result = resample(sine(12000, 48000, 1), 48000, 16000);
  for (size_t i = 800; i < 15200; ++i) ASSERT_LT(std::abs(result[i]), 1e-3) << i;
}

TEST(Resampler, EqualRatesCopyAndNothingStaysNothing) {
  const auto samples = sine(440, 16000, 0.1);
  EXPECT_EQ(resample(samples, 16000, 16000), samples);
  EXPECT_TRUE(resample({}, 8000, 16000).empty());
  EXPECT_EQ(resample(std::vector<float>(1, 0.5F), 8000, 16000).size(), 2);
}

TEST(Resampler, AStreamGivesTheSameInPieces) {
  for (const double from : {16000, 44100, 48000}) {
    const auto samples = sine(440, from, 1);
    StreamingResampler stream(from, 16000);
    std::vector<float> result;
    size_t at = 0;
    for (size_t size = 1; at < samples.size(); size = size * 3 % 1009) {
      const auto piece = stream.accept(std::span(samples).subspan(at, std::min(size, samples.size() - at)));
      result.insert(result.end(), piece.begin(), piece.end());
      at += size;
    }
    const auto whole = resample(samples, from, 16000);
    ASSERT_LE(result.size(), whole.size());
    EXPECT_GE(result.size() + 400, whole.size()) << from;
    for (size_t i = 0; i < result.size(); ++i) ASSERT_NEAR(result[i], whole[i], 1e-5) << from << " " << i;
  }
  EXPECT_THROW(StreamingResampler(0, 16000), Error);
}

TEST(Resampler, ImpossibleRatesAreErrors) {
  const std::vector<float> samples(10);
  EXPECT_THROW(resample(samples, 0, 16000), Error);
  EXPECT_THROW(resample(samples, 16000, -1), Error);
  EXPECT_THROW(resample(samples, NAN, 16000), Error);
  EXPECT_THROW(resample(samples, 1e-3, 16000), Error);
}

}  // namespace
}  // namespace ichigo
