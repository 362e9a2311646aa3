#include "audio/voice_activity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "audio/signals.h"

namespace ichigo {
namespace {

using Kind = SpeechEvent::Kind;
using test::joined;
using test::silence;
using test::steady_noise;
using test::voice;

const char* const kNoises[] = {"white", "pink", "hum", "fan"};

std::vector<SpeechEvent> events_of(std::span<const float> samples, const VoiceActivityConfig& config = {}) {
  VoiceActivity activity(config);
  auto events = activity.accept(samples);
  const auto last = activity.finish();
  events.insert(events.end(), last.begin(), last.end());
  return events;
}

// "BPRPE"
std::string kinds(const std::vector<SpeechEvent>& events) {
  std::string result;
  for (const auto& event : events) result += "BPRE"[static_cast<int>(event.kind)];
  return result;
}

double seconds(int64_t samples) {
  return static_cast<double>(samples) / kSampleRate;
}

std::vector<float> with_noise(const std::vector<float>& samples, const std::string& name, double level) {
  return test::mixed(samples, steady_noise(name, samples.size(), 5), level, 1);
}

std::vector<float> scaled(std::vector<float> samples, float gain) {
  for (float& sample : samples) sample = std::clamp(sample * gain, -1.F, 1.F);
  return samples;
}

TEST(VoiceActivity, TellsWhereSpeechBeginsPausesAndEnds) {
  const auto samples = with_noise(joined({silence(2), voice(1.5), silence(0.4), voice(1), silence(1.5)}), "white", -70);
  const auto events = events_of(samples);
  ASSERT_EQ(kinds(events), "BPRPE");
  const double truth[] = {2 - 0.3, 3.5, 3.9, 4.9, 4.9};
  const double told_after[] = {0.3, 0.2, 0, 0.2, 0.5};
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_NEAR(seconds(events[i].sample), truth[i], 0.05) << i;
    EXPECT_NEAR(seconds(events[i].decided), truth[i] + told_after[i] + (i == 0 ? 0.15 : 0.05), 0.1) << i;
  }
}

TEST(VoiceActivity, DoesNotDependOnTheSizesOfChunks) {
  const auto samples =
      with_noise(joined({silence(1), voice(1), silence(0.3), voice(0.7), silence(1), voice(0.5)}), "pink", -40);
  const auto whole = events_of(samples);
  ASSERT_EQ(kinds(whole), "BPRPEBPE");
  for (const size_t size : {1U, 7U, 160U, 1001U, 20000U}) {
    VoiceActivity activity;
    std::vector<SpeechEvent> events;
    for (size_t at = 0; at < samples.size(); at += size) {
      for (const auto& event : activity.accept(std::span(samples).subspan(at, std::min(size, samples.size() - at)))) {
        // Told as soon as it can be.
        EXPECT_GT(event.decided, static_cast<int64_t>(at));
        EXPECT_LE(event.decided, activity.accepted());
        events.push_back(event);
      }
    }
    for (const auto& event : activity.finish()) events.push_back(event);
    ASSERT_EQ(kinds(events), kinds(whole)) << size;
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].sample, whole[i].sample) << size;
      EXPECT_EQ(events[i].decided, whole[i].decided) << size;
    }
  }
}

TEST(VoiceActivity, HearsNothingInNoise) {
  EXPECT_EQ(kinds(events_of({})), "");
  EXPECT_EQ(kinds(events_of(silence(5))), "");
  EXPECT_EQ(kinds(events_of(std::vector<float>(80000, 0.5F))), "");
  for (const char* name : kNoises) {
    for (const double level : {-70.0, -40.0, -15.0}) {
      EXPECT_EQ(kinds(events_of(with_noise(silence(20), name, level))), "") << name << level;
    }
  }
  // One that is switched on, off and on again, and the step of a DC offset.
  for (const char* name : {"white", "pink", "fan"}) {
    const auto noise = with_noise(silence(4), name, -30);
    EXPECT_EQ(kinds(events_of(with_noise(joined({silence(3), noise, silence(3), noise}), "white", -75))), "") << name;
  }
  EXPECT_EQ(kinds(events_of(joined({silence(2), std::vector<float>(32000, 0.5F), silence(1)}))), "");
}

TEST(VoiceActivity, HearsNothingInClicks) {
  auto samples = with_noise(silence(20), "white", -60);
  Random random(3);
  for (size_t at = 8000; at + 400 < samples.size(); at += 3000 + random.below(12000)) {
    for (size_t i = 0; i < 400; ++i) {  // a tap that dies away in some milliseconds
      samples[at + i] += static_cast<float>(0.8 * std::exp(-static_cast<double>(i) / 60) * random.normal());
    }
    samples[at] = 1;
  }
  EXPECT_EQ(kinds(events_of(samples)), "");
}

TEST(VoiceActivity, FindsSpeechInSteadyNoise) {
  const auto clean = joined({silence(3), voice(2, 4), silence(2)});
  for (const char* name : kNoises) {
    for (const double snr : {20.0, 10.0, 5.0}) {
      const auto noise = steady_noise(name, clean.size(), 11);
      const auto events = events_of(test::mixed_at_snr(clean, 48000, 80000, noise, snr));
      ASSERT_FALSE(events.empty()) << name << snr;
      EXPECT_EQ(std::ranges::count(kinds(events), 'B'), 1) << name << snr;
      EXPECT_NEAR(seconds(events.front().sample), 2.7, 0.15) << name << snr;
      EXPECT_NEAR(seconds(events.back().sample), 5, 0.15) << name << snr;
    }
  }
}

TEST(VoiceActivity, DoesNotCareForLoudnessClippingOrAnOffset) {
  const auto speech = joined({silence(2), voice(1.5), silence(1.5)});
  for (const float gain : {0.02F, 0.3F, 1.F, 30.F}) {
    for (const float offset : {0.F, 0.2F}) {
      auto samples = with_noise(scaled(speech, gain), "white", -80);
      for (float& sample : samples) sample = std::clamp(sample + offset, -1.F, 1.F);
      const auto events = events_of(samples);
      ASSERT_EQ(kinds(events), "BPE") << gain << " " << offset;
      EXPECT_NEAR(seconds(events.front().sample), 1.7, 0.06) << gain << " " << offset;
      EXPECT_NEAR(seconds(events.back().sample), 3.5, 0.06) << gain << " " << offset;
    }
  }
}

TEST(VoiceActivity, SpeechFromTheFirstSampleToTheLast) {
  const auto events = events_of(voice(2));
  ASSERT_EQ(kinds(events), "BPE");
  EXPECT_LE(events.front().sample, 1600);
  EXPECT_EQ(events.back().sample, 32000);
  EXPECT_EQ(events.back().decided, 32000);
}

TEST(VoiceActivity, EndsSpeechThatNeverEnds) {
  const auto events = events_of(with_noise(voice(13), "white", -70), {.longest_speech = 4});
  EXPECT_EQ(kinds(events), "BPEBPEBPEBPE");
  for (size_t i = 0; i + 2 < events.size(); i += 3) {
    EXPECT_LE(events[i + 2].sample - events[i].sample, 4.1 * kSampleRate);
    const int64_t gap = i > 0 ? std::abs(events[i].sample - events[i - 1].sample) : 0;
    EXPECT_LE(gap, 800);  // nothing between is lost
  }
}

TEST(VoiceActivity, ForgetsWhatIsDropped) {
  VoiceActivity activity;
  EXPECT_EQ(kinds(activity.accept(with_noise(joined({silence(1), voice(1)}), "white", -70))), "B");
  EXPECT_TRUE(activity.speaking());
  activity.drop();
  EXPECT_FALSE(activity.speaking());
  EXPECT_EQ(kinds(activity.accept(with_noise(silence(1), "white", -70))), "");
  const auto events = activity.accept(with_noise(voice(1), "white", -70));
  ASSERT_EQ(kinds(events), "B");
  EXPECT_NEAR(seconds(events.front().sample), 2.7, 0.05);
  EXPECT_EQ(kinds(activity.finish()), "PE");
  EXPECT_EQ(kinds(activity.finish()), "");
}

TEST(VoiceActivity, TheSamplesOfTheRepository) {
  for (const char* name :
       {"capital_of_france", "seven_plus_five", "who_are_you", "currency_of_japan", "good_morning"}) {
    const auto recording = read_audio(std::string(ICHIGO_SOURCE_DIR) + "/samples/" + name + ".wav");
    const auto samples = joined({silence(2), recording, silence(1.5)});
    // Where it is within 30 dB of its loudest 10 ms.
    std::vector<double> levels;
    for (size_t at = 0; at + 160 <= samples.size(); at += 160) {
      levels.push_back(20 * std::log10(test::root_mean_square(std::span(samples).subspan(at, 160)) + 1e-9));
    }
    const double threshold = std::ranges::max(levels) - 30;
    const auto loud = [&](double level) { return level > threshold; };
    const auto first = std::ranges::find_if(levels, loud) - levels.begin();
    const auto last = levels.rend() - std::find_if(levels.rbegin(), levels.rend(), loud);
    const struct {
      const char* noise;
      double snr, begin, end;  // dB, greatest error in seconds
    } cases[] = {{"white", 50, 0.1, 0.12}, {"pink", 10, 0.2, 0.25}, {"fan", 10, 0.2, 0.25}};
    for (const auto& each : cases) {
      const auto noisy = test::mixed_at_snr(samples, static_cast<size_t>(first) * 160, static_cast<size_t>(last) * 160,
                                            steady_noise(each.noise, samples.size(), 2), each.snr);
      const auto events = events_of(noisy);
      EXPECT_EQ(std::ranges::count(kinds(events), 'B'), 1) << name << " " << each.noise << ": " << kinds(events);
      ASSERT_FALSE(events.empty());
      EXPECT_NEAR(seconds(events.front().sample), static_cast<double>(first) / 100 - 0.3, each.begin)
          << name << each.noise;
      EXPECT_NEAR(seconds(events.back().sample), static_cast<double>(last) / 100, each.end) << name << each.noise;
    }
  }
}

TEST(VoiceActivity, RefusesWhatMakesNoSense) {
  EXPECT_THROW(VoiceActivity({.end_delay = 0.1}), Error);  // shorter than the pause
  EXPECT_THROW(VoiceActivity({.pause_delay = 0}), Error);
  EXPECT_THROW(VoiceActivity({.pre_roll = -1}), Error);
  EXPECT_THROW(VoiceActivity({.shortest_speech = 0.75}), Error);
  EXPECT_THROW(VoiceActivity({.longest_speech = 0}), Error);
  EXPECT_THROW(VoiceActivity({.begin_prominence = 1}), Error);
  EXPECT_THROW(VoiceActivity({.end_delay = std::numeric_limits<double>::quiet_NaN()}), Error);
  VoiceActivity activity;
  const float bad[] = {0, std::numeric_limits<float>::infinity()};
  EXPECT_THROW(activity.accept(bad), Error);
  activity.finish();
  EXPECT_THROW(activity.accept(silence(1)), Error);
}

}  // namespace
}  // namespace ichigo
