#include "audio/audio_file.h"

#include <fcntl.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "audio/resampler.h"
#include "audio/sound_container.h"
#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr int64_t kBlockValues = 16384;  // of all channels together, decoded at once

class Descriptor {
 public:
  // A FIFO would wait.
  explicit Descriptor(const std::filesystem::path& path)
      : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    require(value_ >= 0, "cannot open ", path.string(), ": ", std::strerror(errno));
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

void check_length(double frames, int rate, const AudioLimits& limits, const std::string& name) {
  require(limits.max_seconds <= 0 || frames <= limits.max_seconds * rate, name, " is longer than the limit of ",
          limits.max_seconds, " s: cut it, or raise --max-seconds (0: no limit)");
}

// Bytes that libsndfile reads or writes as if they were a file.
class SoundBytes {
 public:
  virtual ~SoundBytes() = default;
  Sound open(int mode, SF_INFO& info) {
    SF_VIRTUAL_IO io{length, seek, read, write, tell};
    return Sound(sf_open_virtual(&io, mode, &info, this));
  }

 protected:
  virtual int64_t size() const = 0;
  // The bytes at `at` < size(): at most `count`, how many is returned.
  virtual int64_t read_at(int64_t /*at*/, char* /*to*/, int64_t /*count*/) { return 0; }
  virtual void write_at(int64_t /*at*/, const char* /*from*/, int64_t /*count*/) {}

 private:
  static SoundBytes& self(void* user) { return *static_cast<SoundBytes*>(user); }
  static sf_count_t length(void* user) { return self(user).size(); }
  static sf_count_t tell(void* user) { return self(user).position_; }
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? tell(user) : length(user);
    if (base + offset < 0) return -1;
    return self(user).position_ = base + offset;
  }
  static sf_count_t read(void* to, sf_count_t count, void* user) {
    auto& bytes = self(user);
    sf_count_t done = 0;
    while (done < count && bytes.position_ < bytes.size()) {
      const int64_t got = bytes.read_at(bytes.position_, static_cast<char*>(to) + done, count - done);
      if (got == 0) break;
      done += got;
      bytes.position_ += got;
    }
    return done;
  }
  static sf_count_t write(const void* from, sf_count_t count, void* user) {
    auto& bytes = self(user);
    bytes.write_at(bytes.position_, static_cast<const char*>(from), count);
    bytes.position_ += count;
    return count;
  }

  int64_t position_ = 0;
};

// What is decoded of an open file.
class PartsOfFile : public SoundBytes {
 public:
  PartsOfFile(int descriptor, int64_t file_size, SoundParts parts)
      : descriptor_(descriptor), file_size_(file_size), parts_(std::move(parts)), head_size_(std::ssize(parts_.head)) {}

 protected:
  int64_t size() const override { return head_size_ + std::max<int64_t>(0, file_size_ - parts_.from); }
  int64_t read_at(int64_t at, char* to, int64_t count) override {
    if (at >= head_size_) return ichigo::read_at(descriptor_, parts_.from + at - head_size_, to, count);
    return static_cast<int64_t>(parts_.head.copy(to, static_cast<size_t>(count), static_cast<size_t>(at)));
  }

 private:
  int descriptor_;
  int64_t file_size_;
  SoundParts parts_;
  int64_t head_size_;
};

// A file that is written in memory, so that it reaches the disk in one piece.
class FileInMemory : public SoundBytes {
 public:
  const std::string& bytes() const { return bytes_; }

 protected:
  int64_t size() const override { return std::ssize(bytes_); }
  void write_at(int64_t at, const char* from, int64_t count) override {
    bytes_.resize(static_cast<size_t>(std::max(size(), at + count)));
    std::copy_n(from, count, bytes_.begin() + at);
  }

 private:
  std::string bytes_;
};

}  // namespace

Audio read_audio_native(const std::filesystem::path& path, const AudioLimits& limits) {
  const std::string name = path.string();
  const Descriptor descriptor(path);
  struct stat status{};
  require(::fstat(descriptor.get(), &status) == 0 && S_ISREG(status.st_mode), name, " is not a regular file");
  require(status.st_size > 0, name, " is empty: an audio file (WAV, FLAC, OGG, MP3) was expected");

  const SoundParts parts = sound_parts(descriptor.get(), status.st_size, name);
  PartsOfFile bytes(descriptor.get(), status.st_size, parts);
  SF_INFO info{};
  const Sound sound = bytes.open(SFM_READ, info);
  require(sound != nullptr, name,
          " cannot be read as audio (WAV, FLAC, OGG, MP3); convert it first, for example: ffmpeg -i ", name,
          " sound.wav (", sf_strerror(nullptr), ")");
  require(info.channels >= 1 && info.channels <= 256 && info.samplerate >= 1000 && info.samplerate <= 384000, name,
          " has ", info.channels, " channels at ", info.samplerate, " Hz: expected 1 to 256 at 1 to 384 kHz");
  check_complete(descriptor.get(), parts.from, status.st_size, name);
  const bool known_length = info.frames > 0 && info.frames < SF_COUNT_MAX / 2;
  if (known_length) check_length(static_cast<double>(info.frames), info.samplerate, limits, name);

  Audio audio;
  audio.rate = info.samplerate;
  std::vector<float> block(kBlockValues);
  while (const sf_count_t frames = sf_readf_float(sound.get(), block.data(), kBlockValues / info.channels)) {
    require(frames > 0, name, " cannot be decoded: ", sf_strerror(sound.get()));
    for (sf_count_t frame = 0; frame < frames; ++frame) {
      float sum = 0;
      for (int channel = 0; channel < info.channels; ++channel) sum += block[frame * info.channels + channel];
      require(std::isfinite(sum), name, " holds a sample that is not a finite number, about ",
              static_cast<double>(audio.samples.size()) / audio.rate, " s into it");
      audio.samples.push_back(std::clamp(sum / static_cast<float>(info.channels), -1.0F, 1.0F));
    }
    check_length(static_cast<double>(audio.samples.size()), info.samplerate, limits, name);
  }
  require(sf_error(sound.get()) == SF_ERR_NO_ERROR, name, " is damaged after ", audio.seconds(),
          " s: ", sf_strerror(sound.get()));
  require(!audio.samples.empty(), name, " holds no samples");
  require(!known_length || static_cast<sf_count_t>(audio.samples.size()) >= info.frames, name,
          " is truncated: its header promises ", info.frames, " samples, ", audio.samples.size(), " could be decoded");
  return audio;
}

std::vector<float> read_audio(const std::filesystem::path& path, const AudioLimits& limits) {
  Audio audio = read_audio_native(path, limits);
  if (audio.rate == kSampleRate) return std::move(audio.samples);
  return resample(audio.samples, audio.rate, kSampleRate);
}

void write_audio(const std::filesystem::path& path, const std::vector<float>& samples, int rate) {
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = 1;
  info.format = (path.extension() == ".flac" ? SF_FORMAT_FLAC : SF_FORMAT_WAV) | SF_FORMAT_PCM_16;
  FileInMemory memory;
  Sound sound = memory.open(SFM_WRITE, info);
  require(sound != nullptr, "cannot write ", path.string(), ": ", sf_strerror(nullptr));
  std::vector<int16_t> integers(samples.size());
  std::transform(samples.begin(), samples.end(), integers.begin(), [](float sample) {
    return static_cast<int16_t>(std::clamp(std::nearbyint(sample * 32768.0F), -32768.0F, 32767.0F));
  });
  const auto count = static_cast<sf_count_t>(integers.size());
  require(sf_write_short(sound.get(), integers.data(), count) == count, "cannot write ", path.string(), ": ",
          sf_strerror(sound.get()));
  sound.reset();
  AtomicFile file(path);
  file.write(memory.bytes());
  file.commit();
}

}  // namespace ichigo
