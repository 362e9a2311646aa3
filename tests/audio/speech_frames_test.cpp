#include "audio/speech_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/signals.h"

namespace ichigo {
namespace {

struct Means {
  double prominence = 0, most_prominent = 0, periodicity = 0, level = 0;
};

// Of the last second.
Means means(std::span<const float> samples) {
  SpeechFrames frames;
  for (size_t at = 0; at + SpeechFrames::kWindow <= samples.size(); at += SpeechFrames::kHop) {
    frames.add(samples.subspan(at, SpeechFrames::kWindow));
  }
  Means result;
  for (int64_t i = frames.count() - 100; i < frames.count(); ++i) {
    result.prominence += frames.prominence(i) / 100;
    result.most_prominent = std::max(result.most_prominent, frames.prominence(i));
    result.periodicity += frames.periodicity(i) / 100;
    result.level += frames.level(i) / 100;
  }
  return result;
}

TEST(SpeechFrames, NoiseIsTheBackgroundAndNotVoiced) {
  for (const char* name : {"white", "pink", "fan"}) {
    const Means noise = means(test::steady_noise(name, 80000, 1));
    EXPECT_LT(noise.most_prominent, 1.3) << name;
    EXPECT_LT(noise.periodicity, 0.5) << name;
  }
}

TEST(SpeechFrames, AVoiceStandsOut) {
  const auto samples =
      test::mixed(test::joined({test::silence(3), test::voice(1)}), test::steady_noise("white", 64000, 1), -60, 1);
  const Means voice = means(samples);
  EXPECT_GT(voice.prominence, 15);
  EXPECT_GT(voice.periodicity, 0.8);
}

TEST(SpeechFrames, LevelIsThatOfASine) {
  std::vector<float> sine(32000);
  for (const double hertz : {200.0, 440.0, 3000.0}) {
    for (size_t i = 0; i < sine.size(); ++i) {
      sine[i] = static_cast<float>(0.1 * std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / 16000));
    }
    EXPECT_NEAR(means(sine).level, -20 + 10 * std::log10(1.5), 0.5) << hertz;  // the window spreads it over three bins
  }
}

TEST(SpeechFrames, RefusesOtherSizesAndForgottenFrames) {
  SpeechFrames frames;
  EXPECT_THROW(frames.add(test::silence(1)), Error);
  EXPECT_THROW(frames.prominence(0), Error);
  const auto noise = test::steady_noise("white", 40000, 1);
  for (int i = 0; i < 200; ++i) frames.add(std::span(noise).subspan(i * 160, SpeechFrames::kWindow));
  EXPECT_THROW(frames.level(200 - SpeechFrames::kRemembered - 1), Error);
  EXPECT_NO_THROW(frames.level(200 - SpeechFrames::kRemembered));
}

}  // namespace
}  // namespace ichigo
