#include "audio/sound_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "audio/sample_ring.h"
#include "audio/signals.h"
#include "audio/sound_card.h"
#include "base/stopwatch.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(FileSource, GivesTheRecordingWhenItsReaderWaits) {
  const auto recording = test::voice(0.105);
  FileSource source(recording, false);
  std::vector<float> samples, all;
  while (source.read(samples, true)) {
    all.insert(all.end(), samples.begin(), samples.end());
    EXPECT_EQ(source.arrived(), static_cast<int64_t>(all.size()));
    ASSERT_TRUE(source.read(samples, false) || all.size() == recording.size());
    EXPECT_TRUE(samples.empty());  // no time passes
  }
  EXPECT_EQ(all, recording);
  FileSource nothing({}, false);
  EXPECT_FALSE(nothing.read(samples, true));
}

TEST(FileSource, KeepsTheClocksPace) {
  const auto recording = test::voice(0.3);
  FileSource source(recording, true);
  std::vector<float> samples, all;
  Stopwatch watch;
  ASSERT_TRUE(source.read(samples, true));
  all = samples;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto came = std::min<int64_t>(source.arrived(), std::ssize(recording));
  source.read(samples, false);
  EXPECT_GE(came, 1600);
  EXPECT_GE(std::ssize(all) + std::ssize(samples), came);  // all that came meanwhile
  all.insert(all.end(), samples.begin(), samples.end());
  while (source.read(samples, true)) all.insert(all.end(), samples.begin(), samples.end());
  EXPECT_EQ(all, recording);
  EXPECT_GE(watch.lap(), 295);
  EXPECT_GE(source.arrived(), 4720);
}

TEST(FileOutput, WritesWhatIsPlayedInTime) {
  const test::TemporaryFolder folder;
  FileOutput output(folder / "spoken.wav");
  const Audio sound{std::vector<float>(1000, 0.5F), kSampleRate};
  output.play(sound, 500);
  output.play(sound, 600);  // behind the first
  output.play(sound, 4000);
  output.stop(4100);
  output.finish([] { return false; });
  const auto written = read_audio(folder / "spoken.wav");
  ASSERT_EQ(written.size(), 4100U);
  for (size_t i = 0; i < written.size(); ++i) {
    EXPECT_NEAR(written[i], (i >= 500 && i < 2500) || i >= 4000 ? 0.5 : 0, 1e-4) << i;
  }
  // Another rate, and nothing at all.
  FileOutput other(folder / "other.wav");
  other.play({std::vector<float>(8000, 0.5F), 8000}, 0);
  other.finish([] { return false; });
  EXPECT_EQ(read_audio(folder / "other.wav").size(), 16000U);
  FileOutput silent(folder / "silent.wav");
  silent.finish([] { return false; });
  EXPECT_TRUE(std::filesystem::exists(folder / "silent.wav"));
}

TEST(SampleRing, IsBounded) {
  SampleRing ring(5);
  const float numbers[] = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(ring.write(numbers), 5U);
  EXPECT_EQ(ring.write(numbers), 0U);
  float read[4];
  EXPECT_EQ(ring.read(read), 4U);
  EXPECT_EQ(read[3], 4);
  EXPECT_EQ(ring.write(std::span(numbers).subspan(5)), 2U);
  EXPECT_EQ(ring.size(), 3U);
  EXPECT_EQ(ring.read(read), 3U);
  EXPECT_EQ(read[0], 5);
  EXPECT_EQ(read[2], 7);
  EXPECT_EQ(ring.read(read), 0U);
}

TEST(SampleRing, CarriesSamplesFromThreadToThread) {
  SampleRing ring(777);
  constexpr int kCount = 300000;
  std::jthread writer([&] {
    for (int next = 0; next < kCount;) {
      float block[100];
      const int size = std::min(100, kCount - next);
      for (int i = 0; i < size; ++i) block[i] = static_cast<float>(next + i);
      next += static_cast<int>(ring.write({block, static_cast<size_t>(size)}));
    }
  });
  int expected = 0;
  bool right = true;
  while (expected < kCount) {
    float block[64];
    const size_t count = ring.read(block);
    for (size_t i = 0; i < count; ++i) right = right && block[i] == static_cast<float>(expected++);
    if (count == 0) std::this_thread::yield();
  }
  EXPECT_TRUE(right);
}

TEST(SoundCard, WhereThereIsNoneTheErrorSaysWhatToDo) {
  if (!sound_devices().empty()) GTEST_SKIP() << "this machine has a sound card";
  for (const char* device : {"", "nothing has this name"}) {
    try {
      open_microphone(device);
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("--input FILE"), std::string::npos) << error.what();
    }
    EXPECT_THROW(open_loudspeaker(device), Error);
  }
}

}  // namespace
}  // namespace ichigo
