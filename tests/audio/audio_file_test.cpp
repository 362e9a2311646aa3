// The files are written by libsndfile's own writers, or byte by byte where they are to be broken.
#include "audio/audio_file.h"

#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/temporary_folder.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

const fs::path kSeeds = fs::path(ICHIGO_SOURCE_DIR) / "tests/fuzz/corpus/audio";
const std::string kTag = std::string("ID3\4\0\0\0\0\2\x2C", 10) + std::string(300, '\0');

class AudioFile : public testing::Test {
 protected:
  fs::path write(const std::string& name, int format, const std::vector<float>& samples, int rate, int channels = 1) {
    SF_INFO info{};
    info.samplerate = rate;
    info.channels = channels;
    info.format = format;
    const fs::path path = folder_ / name;
    SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
    EXPECT_NE(file, nullptr) << name << ": " << sf_strerror(nullptr);
    if (file == nullptr) return path;
    sf_command(file, SFC_SET_CLIPPING, nullptr, SF_TRUE);
    sf_write_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
    sf_close(file);
    return path;
  }

  fs::path write_bytes(const std::string& name, const std::string& bytes) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  fs::path cut(const fs::path& path, double share) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    bytes.resize(static_cast<size_t>(static_cast<double>(bytes.size()) * share));
    return write_bytes("cut_" + path.filename().string(), bytes);
  }

  const TemporaryFolder folder_;
};

std::vector<float> sine(double hertz, double rate, double seconds, int channels = 1) {
  std::vector<float> samples(static_cast<size_t>(rate * seconds) * channels);
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto time = static_cast<double>(i / channels) / rate;
    samples[i] = static_cast<float>(0.5 * std::sin(2 * M_PI * hertz * time));
  }
  return samples;
}

// 1 - |correlation| at the best of a few shifts: lossy encoders may delay.
double unlikeness(const std::vector<float>& a, const std::vector<float>& b) {
  double best = 1;
  for (int shift = 0; shift < 200; ++shift) {
    double ab = 0;
    double aa = 1e-9;
    double bb = 1e-9;
    for (size_t i = 2000; i < 12000; ++i) {
      ab += a[i + shift] * b[i];
      aa += a[i + shift] * a[i + shift];
      bb += b[i] * b[i];
    }
    best = std::min(best, 1 - ab / std::sqrt(aa * bb));
  }
  return best;
}

std::string message(const fs::path& path, const AudioLimits& limits = {}) {
  try {
    read_audio(path, limits);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path.filename().string()), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST_F(AudioFile, ReadsEveryWavSampleFormat) {
  const auto samples = sine(440, 16000, 0.5);
  const struct {
    const char* name;
    int format;
    double tolerance;
  } kinds[] = {{"u8", SF_FORMAT_PCM_U8, 1.0 / 127}, {"s16", SF_FORMAT_PCM_16, 1.0 / 32000},
               {"s24", SF_FORMAT_PCM_24, 1e-6},     {"s32", SF_FORMAT_PCM_32, 1e-6},
               {"f32", SF_FORMAT_FLOAT, 1e-7},      {"f64", SF_FORMAT_DOUBLE, 1e-7},
               {"a_law", SF_FORMAT_ALAW, 0.02},     {"u_law", SF_FORMAT_ULAW, 0.02}};
  for (const auto& kind : kinds) {
    const auto path = write(std::string(kind.name) + ".wav", SF_FORMAT_WAV | kind.format, samples, 16000);
    const auto result = read_audio(path);
    ASSERT_EQ(result.size(), samples.size()) << kind.name;
    for (size_t i = 0; i < samples.size(); ++i) ASSERT_NEAR(result[i], samples[i], kind.tolerance) << kind.name;
  }
}

TEST_F(AudioFile, ReadsFlacOggMp3AndAiff) {
  const auto samples = sine(440, 16000, 1);
  const struct {
    const char* name;
    int format;
  } kinds[] = {{"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16}, {"a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
               {"a.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS},    {"a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III},
               {"a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16}, {"a.au", SF_FORMAT_AU | SF_FORMAT_PCM_16}};
  for (const auto& kind : kinds) {
    const auto result = read_audio(write(kind.name, kind.format, samples, 16000));
    ASSERT_GE(result.size(), samples.size()) << kind.name;
    EXPECT_LT(unlikeness(result, samples), 1e-2) << kind.name;
  }
}

TEST_F(AudioFile, AnyRateAndChannelCountBecomes16kHzMono) {
  for (const int rate : {8000, 22050, 44100, 48000}) {
    for (const int channels : {1, 2, 6}) {
      const auto path = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, sine(440, rate, 1, channels), rate, channels);
      const auto result = read_audio(path);
      const auto expected = sine(440, 16000, 1);
      ASSERT_NEAR(result.size(), expected.size(), 1);
      for (size_t i = 800; i < 15200; ++i) ASSERT_NEAR(result[i], expected[i], 2e-3) << rate << " " << channels;
      EXPECT_EQ(read_audio_native(path).rate, rate);
    }
  }
}

TEST_F(AudioFile, ChannelsAreAveraged) {
  const auto path = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, {1, 0, -0.5, 0.25}, 16000, 2);
  EXPECT_EQ(read_audio(path), (std::vector<float>{0.5, -0.125}));
}

TEST_F(AudioFile, WhatIsWrittenIsReadBack) {
  const auto samples = sine(440, 16000, 0.3);
  for (const char* name : {"deep/er/a.wav", "a.flac"}) {
    write_audio(folder_ / name, samples, 8000);
    const Audio audio = read_audio_native(folder_ / name);
    EXPECT_EQ(audio.rate, 8000);
    ASSERT_EQ(audio.samples.size(), samples.size());
    for (size_t i = 0; i < samples.size(); ++i) ASSERT_NEAR(audio.samples[i], samples[i], 0.5001 / 32768);
  }
  write_audio(folder_ / "loud.wav", {2, -2});
  EXPECT_EQ(read_audio(folder_ / "loud.wav"), (std::vector<float>{32767.0F / 32768, -1}));
  EXPECT_THROW(write_audio("/proc/nowhere/a.wav", samples), std::exception);
}

TEST_F(AudioFile, MissingEmptyAndForeignFilesAreErrors) {
  EXPECT_NE(message(folder_ / "missing.wav"), "");
  EXPECT_NE(message(write_bytes("empty.wav", "")).find("empty"), std::string::npos);
  EXPECT_NE(message(write_bytes("text.wav", "This is a letter, not a sound. Please read it aloud.")), "");
  EXPECT_NE(message(write_bytes("text.au", std::string(5000, 'x'))), "");
  EXPECT_NE(message(write_bytes("head.wav", "RIFF")), "");
  EXPECT_NE(message(folder_.path()).find("regular"), std::string::npos);
  ASSERT_EQ(::mkfifo((folder_ / "pipe.wav").c_str(), 0600), 0);
  EXPECT_NE(message(folder_ / "pipe.wav").find("regular"), std::string::npos);
}

TEST_F(AudioFile, NoSamplesAndImpossibleSamplesAreErrors) {
  EXPECT_NE(message(write("none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, {}, 16000)), "");
  EXPECT_NE(message(write("none.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, {}, 16000)), "");
  const auto nan = write("nan.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, {0, NAN, 0}, 16000);
  EXPECT_NE(message(nan).find("finite"), std::string::npos);
}

TEST_F(AudioFile, TruncatedFilesAreErrorsNotShortReads) {
  const auto samples = sine(440, 16000, 2);
  const auto wav = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, samples, 16000);
  const auto aiff = write("a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, samples, 16000);
  const auto flac = write("a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, samples, 16000);
  const auto ogg = write("a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, samples, 16000);
  const auto mp3 = write("a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, samples, 16000);
  for (const auto& path : {wav, aiff, flac, ogg, mp3}) {
    EXPECT_EQ(message(path), "");
    for (const double share : {0.2, 0.5, 0.9}) EXPECT_NE(message(cut(path, share)), "") << path << " " << share;
  }
  EXPECT_NE(message(cut(wav, 0.5)).find("truncated"), std::string::npos);
}

// libFLAC would take 48 MiB for the 459 bytes of the first, and 20 MiB for the 211 of the second.
TEST_F(AudioFile, DamagedFlacMetadataIsRefusedBeforeItIsRead) {
  const std::string file = read_file(kSeeds / "flac_block_beyond_end");
  const std::string refused = "its FLAC metadata at byte 42 promises 7173152 bytes, the file holds 413";
  EXPECT_NE(message(kSeeds / "flac_block_beyond_end").find(refused), std::string::npos);
  EXPECT_NE(message(kSeeds / "flac_block_damaged"), "");
  EXPECT_NE(message(write_bytes("tag.flac", kTag + file)).find("FLAC metadata at byte 352"), std::string::npos);
  EXPECT_NE(message(write_bytes("tags.flac", kTag + kTag + file)).find("metadata at byte 662"), std::string::npos);
  EXPECT_NE(message(write_bytes("short.flac", file.substr(0, 42))).find("it ends at byte 42"), std::string::npos);
  EXPECT_NE(message(write_bytes("first.flac", "fLaC" + file.substr(42))).find("at byte 4"), std::string::npos);
}

TEST_F(AudioFile, FlacMetadataAndTagsDoNotChangeTheSound) {
  const std::string file = read_file(write("a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, sine(440, 16000, 1), 16000));
  const std::string application = std::string("\2\0\1\0", 4) + std::string(256, 'x');  // a block that nobody knows
  const auto path = write_bytes("tagged.flac", kTag + file.substr(0, 42) + application + file.substr(42));
  EXPECT_EQ(read_audio(path), read_audio(folder_ / "a.flac"));
}

TEST_F(AudioFile, FlacInAnOggContainerIsRefused) {
  EXPECT_NE(message(kSeeds / "flac_in_ogg").find("is FLAC in an Ogg container"), std::string::npos);
}

TEST_F(AudioFile, AWavFromAPipeHasNoLengthAndIsReadToItsEnd) {
  const auto path = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, sine(440, 16000, 0.5), 16000);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4);
  file.write("\xff\xff\xff\xff", 4);
  file.seekp(40);
  file.write("\xff\xff\xff\xff", 4);
  file.close();
  EXPECT_EQ(read_audio(path).size(), 8000);
}

TEST_F(AudioFile, LongFilesAreRefusedNeverCut) {
  const auto path = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, sine(440, 8000, 2), 8000);
  EXPECT_EQ(read_audio(path, {.max_seconds = 2}).size(), 32000);
  EXPECT_NE(message(path, {.max_seconds = 1.9}).find("limit of 1.9 s"), std::string::npos);
  EXPECT_EQ(read_audio(path, {.max_seconds = 0}).size(), 32000);
  const auto hour = write("hour.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, std::vector<float>(3600 * 2000), 2000);
  EXPECT_NE(message(hour).find("limit of 600 s"), std::string::npos);
}

}  // namespace
}  // namespace ichigo
