#include "audio/sound_stream.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "audio/resampler.h"
#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr int64_t kBlock = kSampleRate / 50;

}  // namespace

FileSource::FileSource(std::vector<float> samples, bool realtime) : samples_(std::move(samples)), realtime_(realtime) {}

int64_t FileSource::arrived() const {
  if (!realtime_) return read_;
  if (!begin_) return 0;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - *begin_;
  return static_cast<int64_t>(passed.count() * kSampleRate);
}

bool FileSource::read(std::vector<float>& samples, bool wait) {
  samples.clear();
  const auto size = static_cast<int64_t>(samples_.size());
  if (read_ == size) return false;
  if (!begin_) begin_ = std::chrono::steady_clock::now();
  if (realtime_ && wait) {
    const std::chrono::duration<double> due(static_cast<double>(std::min(size, read_ + kBlock)) / kSampleRate);
    std::this_thread::sleep_until(*begin_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due));
  }
  const int64_t end = std::min(size, realtime_ ? arrived() : wait ? read_ + kBlock : read_);
  samples.assign(samples_.begin() + read_, samples_.begin() + std::max(read_, end));
  read_ = std::max(read_, end);
  return true;
}

FileOutput::FileOutput(std::filesystem::path path) : path_(std::move(path)) {
  require(path_.extension() == ".wav" || path_.extension() == ".flac", path_.string(),
          " names neither a WAV nor a FLAC file: let it end in .wav or .flac");
  const AtomicFile attempt(path_);
}

void FileOutput::play(const Audio& audio, int64_t at) {
  track_.resize(std::max(track_.size(), static_cast<size_t>(at)));
  const auto samples = resample(audio.samples, audio.rate, kSampleRate);
  track_.insert(track_.end(), samples.begin(), samples.end());
}

void FileOutput::stop(int64_t at) {
  track_.resize(std::min(track_.size(), static_cast<size_t>(at)));
}

void FileOutput::finish(const std::function<bool()>& /*stop*/) {
  write_audio(path_, track_);
}

}  // namespace ichigo
