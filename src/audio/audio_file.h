// Audio files of any common kind -> 16 kHz mono float samples in [-1, 1]. WAV, FLAC, OGG, MP3 through libsndfile.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace ichigo {

constexpr int kSampleRate = 16000;  // Hz, what every model here hears

struct AudioLimits {
  double max_seconds = 600;  // a longer file is refused with a clear error, never cut; 0: no limit
};

struct Audio {
  std::vector<float> samples;  // mono
  int rate = kSampleRate;      // Hz
  double seconds() const { return static_cast<double>(samples.size()) / rate; }
};

// Decodes the file, averages its channels, keeps its rate. Throws Error: missing, empty, truncated, not audio, 0
// samples, too long.
Audio read_audio_native(const std::filesystem::path& path, const AudioLimits& limits = {});
// The same, resampled to 16 kHz.
std::vector<float> read_audio(const std::filesystem::path& path, const AudioLimits& limits = {});
// Writes 16-bit PCM WAV (or FLAC by the ending .flac), atomically.
void write_audio(const std::filesystem::path& path, const std::vector<float>& samples, int rate = kSampleRate);

}  // namespace ichigo
