// Sound as it comes and goes: where samples are read from and played to while time goes on. Here with files in the
// place of a sound card (sound_card.h has the real one), so that whatever talks can be run and tested without.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "audio/audio_file.h"

namespace ichigo {

class SoundSource {
 public:
  virtual ~SoundSource() = default;
  // Replaces `samples` by those that came since the last call, 16 kHz mono. With `wait` and none there it waits for
  // some, but never long: they may be empty still. False once the stream is over. Throws Error when the source fails.
  virtual bool read(std::vector<float>& samples, bool wait) = 0;
  // Samples that there were up to this moment, read or not.
  virtual int64_t arrived() const = 0;
  // Samples that nobody read in time and that are missing between those that were.
  virtual int64_t lost() const { return 0; }
};

class SoundOutput {
 public:
  virtual ~SoundOutput() = default;
  // Plays behind what is being played. `at`: samples that the source had so far, the time by which a file is written.
  virtual void play(const Audio& audio, int64_t at) = 0;
  // Forgets what is not played yet.
  virtual void stop(int64_t at) = 0;
  // Seconds from play() to the sound.
  virtual double latency() const = 0;
  // Returns when all is played or `stop` says so; a file is written now.
  virtual void finish(const std::function<bool()>& stop) = 0;
};

// A recording, either at the pace of the clock, or at that of its reader: then time stands still between two waiting
// reads and nothing depends on how fast the machine is.
class FileSource : public SoundSource {
 public:
  FileSource(std::vector<float> samples, bool realtime);
  bool read(std::vector<float>& samples, bool wait) override;
  int64_t arrived() const override;

 private:
  std::vector<float> samples_;
  bool realtime_;
  int64_t read_ = 0;
  std::optional<std::chrono::steady_clock::time_point> begin_;
};

// What is played, in a 16 kHz file with the same time as the source: silence until something is played.
class FileOutput : public SoundOutput {
 public:
  // Throws Error when no sound file of this name could be written.
  explicit FileOutput(std::filesystem::path path);
  void play(const Audio& audio, int64_t at) override;
  void stop(int64_t at) override;
  double latency() const override { return 0; }
  void finish(const std::function<bool()>& stop) override;

 private:
  std::filesystem::path path_;
  std::vector<float> track_;
};

}  // namespace ichigo
