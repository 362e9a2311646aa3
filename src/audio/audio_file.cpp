// What libsndfile would forgive is checked here: a file that ends before its own header says is an error.
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
#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr int64_t kBlockValues = 16384;  // of all channels together, decoded at once

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path) : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
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

// Up to `size` bytes at `offset`; fewer at the end of the file.
std::string bytes_at(int descriptor, int64_t offset, size_t size) {
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(descriptor, bytes.data(), size, offset);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

uint32_t number(const std::string& bytes, size_t at, bool big_endian) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + (big_endian ? i : 3 - i)]);
  }
  return value;
}

// RIFF and AIFF: the data chunk must lie within the file. Programs that write to a pipe leave sizes of about 2 or
// 4 GiB for "unknown": then all that is there counts.
void check_chunks(int descriptor, int64_t size, const std::string& magic, const std::string& name) {
  constexpr uint32_t kUnknown = 0x7FFFF000;
  const bool big_endian = magic != "RIFF";
  int64_t offset = 12;
  while (offset + 8 <= size) {
    const std::string head = bytes_at(descriptor, offset, 8);
    if (head.size() < 8) return;
    const uint32_t length = number(head, 4, big_endian);
    const std::string id = head.substr(0, 4);
    if (id == "data" || id == "SSND") {
      const int64_t there = size - offset - 8;
      require(length >= kUnknown || length <= there, name, " is truncated: its header promises ", length,
              " bytes of sound, the file holds ", there);
      return;
    }
    offset += 8 + int64_t{length} + (length & 1);
  }
}

// Ogg: the last page must be whole and carry the end-of-stream flag.
void check_last_page(int descriptor, int64_t size, const std::string& name) {
  constexpr int64_t kLargestPage = 65307;
  const int64_t start = std::max<int64_t>(0, size - kLargestPage);
  const std::string tail = bytes_at(descriptor, start, static_cast<size_t>(size - start));
  const size_t page = tail.rfind("OggS");
  bool whole = page != std::string::npos && page + 27 <= tail.size() && (tail[page + 5] & 4) != 0;
  if (whole) {
    const size_t segments = static_cast<unsigned char>(tail[page + 26]);
    size_t end = page + 27 + segments;
    whole = end <= tail.size();
    for (size_t i = 0; whole && i < segments; ++i) end += static_cast<unsigned char>(tail[page + 27 + i]);
    whole = whole && end <= tail.size();
  }
  require(whole, name, " is truncated: its last Ogg page is missing");
}

// FLAC, behind an ID3 tag or not: the metadata must lie within the file. libFLAC takes memory for as much as a block
// promises, up to three times 16 MiB.
void check_metadata(int descriptor, int64_t size, const std::string& name) {
  int64_t offset = 0;
  const std::string start = bytes_at(descriptor, 0, 10);
  if (start.starts_with("ID3") && start.size() == 10) {
    for (size_t i = 6; i < 10; ++i) offset = offset << 7 | (static_cast<unsigned char>(start[i]) & 127);
    offset += 10;
  }
  if (bytes_at(descriptor, offset, 4) != "fLaC") return;
  offset += 4;
  for (bool last = false; !last;) {
    const std::string head = bytes_at(descriptor, offset, 4);
    if (head.size() < 4) return;
    last = (head[0] & 128) != 0;
    const int64_t length = number(head, 0, true) & 0xFFFFFF, there = size - offset - 4;
    require(length <= there, name, " is truncated or damaged: its FLAC metadata at byte ", offset, " promises ", length,
            " bytes, the file holds ", there);
    offset += 4 + length;
  }
}

void check_complete(int descriptor, int64_t size, const std::string& name) {
  const std::string magic = bytes_at(descriptor, 0, 4);
  if (magic == "RIFF" || magic == "RIFX" || magic == "FORM") check_chunks(descriptor, size, magic, name);
  if (magic == "OggS") check_last_page(descriptor, size, name);
}

void check_length(double frames, int rate, const AudioLimits& limits, const std::string& name) {
  require(limits.max_seconds <= 0 || frames <= limits.max_seconds * rate, name, " is longer than the limit of ",
          limits.max_seconds, " s: cut it, or raise --max-seconds (0: no limit)");
}

// A sound file that libsndfile writes into memory, so that it reaches the disk in one piece.
struct MemoryFile {
  std::string bytes;
  size_t position = 0;

  static MemoryFile& self(void* user) { return *static_cast<MemoryFile*>(user); }
  static sf_count_t length(void* user) { return static_cast<sf_count_t>(self(user).bytes.size()); }
  static sf_count_t tell(void* user) { return static_cast<sf_count_t>(self(user).position); }
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? tell(user) : length(user);
    if (base + offset < 0) return -1;
    self(user).position = static_cast<size_t>(base + offset);
    return tell(user);
  }
  static sf_count_t read(void* to, sf_count_t count, void* user) {
    auto& file = self(user);
    if (file.position >= file.bytes.size()) return 0;
    const size_t size = std::min(static_cast<size_t>(count), file.bytes.size() - file.position);
    std::memcpy(to, file.bytes.data() + file.position, size);
    file.position += size;
    return static_cast<sf_count_t>(size);
  }
  static sf_count_t write(const void* from, sf_count_t count, void* user) {
    auto& file = self(user);
    const auto size = static_cast<size_t>(count);
    if (file.bytes.size() < file.position + size) file.bytes.resize(file.position + size);
    std::memcpy(file.bytes.data() + file.position, from, size);
    file.position += size;
    return count;
  }
};

}  // namespace

Audio read_audio_native(const std::filesystem::path& path, const AudioLimits& limits) {
  const std::string name = path.string();
  const Descriptor descriptor(path);
  struct stat status{};
  require(::fstat(descriptor.get(), &status) == 0 && S_ISREG(status.st_mode), name, " is not a regular file");
  require(status.st_size > 0, name, " is empty: an audio file (WAV, FLAC, OGG, MP3) was expected");

  check_metadata(descriptor.get(), status.st_size, name);
  SF_INFO info{};
  const Sound sound(sf_open_fd(descriptor.get(), SFM_READ, &info, SF_FALSE));
  require(sound != nullptr, name,
          " cannot be read as audio (WAV, FLAC, OGG, MP3); convert it first, for example: ffmpeg -i ", name,
          " sound.wav (", sf_strerror(nullptr), ")");
  require(info.channels >= 1 && info.channels <= 256 && info.samplerate >= 1000 && info.samplerate <= 384000, name,
          " has ", info.channels, " channels at ", info.samplerate, " Hz: expected 1 to 256 at 1 to 384 kHz");
  check_complete(descriptor.get(), status.st_size, name);
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
  MemoryFile memory;
  SF_VIRTUAL_IO io{MemoryFile::length, MemoryFile::seek, MemoryFile::read, MemoryFile::write, MemoryFile::tell};
  Sound sound(sf_open_virtual(&io, SFM_WRITE, &info, &memory));
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
  file.write(memory.bytes);
  file.commit();
}

}  // namespace ichigo
