#include "audio/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ichigo {
namespace {

std::vector<float> sine(double hertz, size_t count, double amplitude = 0.1) {
  std::vector<float> samples(count);
  for (size_t i = 0; i < count; ++i) {
    samples[i] = static_cast<float>(amplitude * std::sin(2 * M_PI * hertz * static_cast<double>(i) / 16000));
  }
  return samples;
}

std::vector<float> noise(size_t count) {
  Random random(1);
  std::vector<float> samples(count);
  for (auto& sample : samples) sample = static_cast<float>(0.3 * random.normal());
  return samples;
}

double energy(const std::vector<float>& samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return sum;
}

// Nothing happens but what a test switches on.
AugmentationConfig nothing() {
  return {.probability = 1,
          .min_speed = 1,
          .max_speed = 1,
          .min_gain_db = 0,
          .max_gain_db = 0,
          .noise_probability = 0,
          .room_probability = 0};
}

std::vector<float> augmented(const std::vector<float>& samples, const AugmentationConfig& config,
                             const std::vector<std::vector<float>>& noises = {}, uint64_t seed = 7) {
  config.validate();
  Random random(seed);
  return augment(samples, config, noises, random);
}

TEST(Augmentation, TheSameSeedGivesTheSameSamples) {
  const AugmentationConfig config{.probability = 1, .noise_probability = 1, .room_probability = 1};
  const auto samples = sine(300, 16000);
  const std::vector<std::vector<float>> noises = {noise(5000), noise(30000)};
  const auto result = augmented(samples, config, noises, 3);
  EXPECT_EQ(augmented(samples, config, noises, 3), result);
  EXPECT_NE(augmented(samples, config, noises, 4), result);
}

TEST(Augmentation, ProbabilityIsTheShareOfChangedClips) {
  const auto samples = sine(300, 800);
  AugmentationConfig config;
  config.probability = 0.3;
  Random random(1);
  int changed = 0;
  for (int i = 0; i < 1000; ++i) changed += augment(samples, config, {}, random) != samples ? 1 : 0;
  EXPECT_NEAR(changed, 300, 50);
}

TEST(Augmentation, SpeedChangesLengthAndPitch) {
  const auto samples = sine(1000, 16000);
  for (const double speed : {0.9, 1.0, 1.1, 1.37}) {
    auto config = nothing();
    config.min_speed = config.max_speed = speed;
    const auto result = augmented(samples, config);
    EXPECT_NEAR(result.size(), 16000 / speed, 1);
    const auto expected = sine(1000 * speed, result.size());
    for (size_t i = 50; i + 50 < result.size(); ++i) ASSERT_NEAR(result[i], expected[i], 1e-3) << speed << " " << i;
  }
}

TEST(Augmentation, GainIsInDecibelsAndClips) {
  auto config = nothing();
  config.min_gain_db = config.max_gain_db = 6;
  const auto samples = sine(300, 1600);
  EXPECT_NEAR(energy(augmented(samples, config)) / energy(samples), std::pow(10, 0.6), 1e-3);
  config.min_gain_db = config.max_gain_db = 40;
  const auto loud = augmented(samples, config);
  EXPECT_EQ(*std::max_element(loud.begin(), loud.end()), 1);
  EXPECT_EQ(*std::min_element(loud.begin(), loud.end()), -1);
}

TEST(Augmentation, NoiseComesAtItsRatio) {
  auto config = nothing();
  config.noise_probability = 1;
  config.min_snr_db = config.max_snr_db = 10;
  const auto samples = sine(300, 16000);
  const auto result = augmented(samples, config, {noise(3000)});
  std::vector<float> added(result.size());
  for (size_t i = 0; i < added.size(); ++i) added[i] = result[i] - samples[i];
  EXPECT_NEAR(10 * std::log10(energy(samples) / energy(added)), 10, 0.05);
  EXPECT_EQ(augmented(samples, config), samples);
  EXPECT_EQ(augmented(samples, config, {{}}), samples);
  EXPECT_EQ(augmented(samples, config, {std::vector<float>(100)}), samples);
}

TEST(Augmentation, ARoomKeepsEnergyAndRingsAfterTheSound) {
  auto config = nothing();
  config.room_probability = 1;
  auto samples = sine(300, 4000);
  samples.resize(16000);
  const auto result = augmented(samples, config);
  ASSERT_EQ(result.size(), samples.size());
  EXPECT_NEAR(energy(result) / energy(samples), 1, 1e-3);
  const auto between = [&](int64_t begin, int64_t end) {
    return energy(std::vector<float>(result.begin() + begin, result.begin() + end));
  };
  EXPECT_GT(between(4100, 5000), 1e-5);
  EXPECT_LT(between(12500, 16000), 1e-6);
}

TEST(Augmentation, SilenceComesBeforeAndAfter) {
  auto config = nothing();
  config.max_silence_seconds = 0.25;
  const std::vector<float> samples(1000, 0.5F);
  bool early = false, late = false;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const auto result = augmented(samples, config, {}, seed);
    const auto lead = std::ranges::find(result, 0.5F) - result.begin();
    const auto rest = static_cast<int64_t>(result.size()) - lead - 1000;
    ASSERT_TRUE(0 <= rest && rest <= 4000 && lead <= 4000);
    EXPECT_TRUE(std::all_of(result.begin() + lead, result.begin() + lead + 1000, [](float x) { return x == 0.5F; }));
    EXPECT_EQ(energy({result.begin() + lead + 1000, result.end()}), 0);
    early = early || lead > 2000;
    late = late || rest > 2000;
  }
  EXPECT_TRUE(early && late);
}

TEST(Augmentation, AnEqualizerChangesTonesAgainstEachOtherButNotTheLoudness) {
  auto config = nothing();
  config.equalizer_probability = 1;
  config.equalizer_db = 4;
  const std::vector<double> tones = {150, 500, 1500, 5000};
  std::vector<float> samples(16000);
  for (const double tone : tones) {
    const auto wave = sine(tone, samples.size());
    for (size_t i = 0; i < wave.size(); ++i) samples[i] += wave[i] / 4;
  }
  const auto level_db = [](const std::vector<float>& wave, double tone) {
    double real = 0, imaginary = 0;
    for (size_t i = 4000; i < 12000; ++i) {  // whole periods of every tone, away from the ends
      const double angle = 2 * std::numbers::pi * tone * static_cast<double>(i) / 16000;
      real += wave[i] * std::cos(angle);
      imaginary += wave[i] * std::sin(angle);
    }
    return 10 * std::log10(real * real + imaginary * imaginary);
  };
  double sum = 0, squares = 0;
  constexpr int kClips = 200;
  for (uint64_t seed = 0; seed < kClips; ++seed) {
    const auto result = augmented(samples, config, {}, seed);
    ASSERT_EQ(result.size(), samples.size());
    EXPECT_NEAR(energy(result) / energy(samples), 1, 1e-3);
    const double difference =
        (level_db(result, 1500) - level_db(samples, 1500)) - (level_db(result, 500) - level_db(samples, 500));
    sum += difference;
    squares += difference * difference;
  }
  EXPECT_NEAR(sum / kClips, 0, 1.2);
  // Two gains between octaves, each a mean of two draws: 4 dB x sqrt(2) x about 0.75.
  EXPECT_NEAR(std::sqrt(squares / kClips), 4.2, 1.2);
}

TEST(Augmentation, EmptyClipsStayEmpty) {
  const AugmentationConfig config{.probability = 1, .noise_probability = 1, .room_probability = 1};
  EXPECT_TRUE(augmented({}, config, {noise(100)}).empty());
}

TEST(Augmentation, ImpossibleSettingsAreErrors) {
  EXPECT_NO_THROW(AugmentationConfig{}.validate());
  EXPECT_THROW(AugmentationConfig{.probability = 1.1}.validate(), Error);
  EXPECT_THROW(AugmentationConfig{.min_speed = 0}.validate(), Error);
  EXPECT_THROW((AugmentationConfig{.min_snr_db = 20, .max_snr_db = 10}.validate()), Error);
  EXPECT_THROW(AugmentationConfig{.max_room_seconds = NAN}.validate(), Error);
  EXPECT_THROW(AugmentationConfig{.max_silence_seconds = -1}.validate(), Error);
  EXPECT_THROW(AugmentationConfig{.equalizer_probability = 2}.validate(), Error);
}

}  // namespace
}  // namespace ichigo
