#include "audio/sound_card.h"

#include <fcntl.h>
#include <portaudio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cmath>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "audio/resampler.h"
#include "audio/sample_ring.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr double kQueueSeconds = 30;  // of sound that may wait to be read
constexpr auto kNap = std::chrono::milliseconds(5);

// The sound libraries print what they do not find to standard error; what matters is told by errors.
class QuietErrors {
 public:
  QuietErrors() : kept_(::dup(STDERR_FILENO)) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (kept_ >= 0 && nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
    if (nowhere >= 0) ::close(nowhere);
  }
  ~QuietErrors() {
    if (kept_ < 0) return;
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
  }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  int kept_;
};

void check(PaError error, const std::string& what) {
  require(error >= 0, what, ": ", Pa_GetErrorText(error),
          "; see --list-devices, and whether another program uses it, or take a file (--input, --output)");
}

// PortAudio counts how often it is initialised.
class Library {
 public:
  Library() {
    const QuietErrors quiet;
    check(Pa_Initialize(), "the sound system cannot be used");
  }
  ~Library() { Pa_Terminate(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<SoundDevice> devices_of(const Library& /*alive*/) {
  std::vector<SoundDevice> devices;
  for (int i = 0; i < Pa_GetDeviceCount(); ++i) {
    const PaDeviceInfo* info = Pa_GetDeviceInfo(i);
    devices.push_back({i, info->name, info->maxInputChannels, info->maxOutputChannels, info->defaultSampleRate,
                       i == Pa_GetDefaultInputDevice(), i == Pa_GetDefaultOutputDevice()});
  }
  return devices;
}

SoundDevice find_device(const Library& library, const std::string& named, bool input) {
  const char* kind = input ? "microphone" : "loudspeaker";
  const bool number =
      !named.empty() && std::ranges::all_of(named, [](unsigned char c) { return std::isdigit(c) != 0; });
  bool any = false;
  for (const SoundDevice& device : devices_of(library)) {
    if ((input ? device.inputs : device.outputs) < 1) continue;
    any = true;
    const bool chosen = named.empty() ? (input ? device.default_input : device.default_output)
                        : number      ? named == std::to_string(device.index)
                                      : lower(device.name).find(lower(named)) != std::string::npos;
    if (chosen) return device;
  }
  require(any, "this machine has no ", kind,
          input ? ": give a recording with --input FILE" : ": write what is spoken to a file with --output FILE.wav");
  require(!named.empty(), "the system has no default ", kind, ": name one with --", kind, ", see --list-devices");
  fail("there is no ", kind, " \"", named, "\": see --list-devices");
}

class Stream {
 public:
  // Opened and started: one channel at 16 kHz, or at the device's own rate.
  Stream(const Library& library, const std::string& named, bool input, PaStreamCallback* callback, void* user) {
    const QuietErrors quiet;
    const SoundDevice device = find_device(library, named, input);
    const PaDeviceInfo* info = Pa_GetDeviceInfo(device.index);
    PaStreamParameters parameters{};
    parameters.device = device.index;
    parameters.channelCount = 1;
    parameters.sampleFormat = paFloat32;
    parameters.suggestedLatency = input ? info->defaultLowInputLatency : info->defaultLowOutputLatency;
    const PaStreamParameters* in = input ? &parameters : nullptr;
    const PaStreamParameters* out = input ? nullptr : &parameters;
    rate_ = Pa_IsFormatSupported(in, out, kSampleRate) == paFormatIsSupported ? kSampleRate : device.rate;
    check(Pa_OpenStream(&stream_, in, out, rate_, paFramesPerBufferUnspecified, paNoFlag, callback, user),
          "the sound device \"" + device.name + "\" cannot be opened at " + std::to_string(std::lround(rate_)) + " Hz");
    const PaStreamInfo* opened = Pa_GetStreamInfo(stream_);
    if (opened != nullptr) latency_ = input ? opened->inputLatency : opened->outputLatency;
  }
  ~Stream() {
    const QuietErrors quiet;
    Pa_CloseStream(stream_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void start() {
    const QuietErrors quiet;
    check(Pa_StartStream(stream_), "the sound device cannot be started");
  }
  bool active() const { return Pa_IsStreamActive(stream_) == 1; }
  double rate() const { return rate_; }
  double latency() const { return latency_; }

 private:
  PaStream* stream_ = nullptr;
  double rate_ = kSampleRate, latency_ = 0;
};

class Microphone : public SoundSource {
 public:
  explicit Microphone(const std::string& device) : stream_(library_, device, true, &Microphone::take, this) {
    ring_.emplace(static_cast<size_t>(kQueueSeconds * stream_.rate()));
    resampler_.emplace(stream_.rate(), kSampleRate);
    block_.resize(static_cast<size_t>(stream_.rate()));
    stream_.start();
  }

  bool read(std::vector<float>& samples, bool wait) override {
    for (int nap = 0; wait && nap < 10 && ring_->size() == 0; ++nap) {
      require(stream_.active(), "the microphone has stopped: was it unplugged?");
      std::this_thread::sleep_for(kNap);
    }
    samples.clear();
    while (const size_t count = ring_->read(block_)) {
      const auto resampled = resampler_->accept(std::span(block_).first(count));
      samples.insert(samples.end(), resampled.begin(), resampled.end());
    }
    return true;
  }
  int64_t arrived() const override { return to_16_khz(taken_); }
  int64_t lost() const override { return to_16_khz(lost_); }

 private:
  int64_t to_16_khz(int64_t samples) const {
    return std::llround(static_cast<double>(samples) * kSampleRate / stream_.rate());
  }
  static int take(const void* input, void* /*output*/, unsigned long frames, const PaStreamCallbackTimeInfo* /*time*/,
                  PaStreamCallbackFlags flags, void* user) {
    auto& self = *static_cast<Microphone*>(user);
    if (input == nullptr) return paContinue;
    const size_t taken = self.ring_->write({static_cast<const float*>(input), frames});
    self.taken_ += static_cast<int64_t>(taken);
    self.lost_ += static_cast<int64_t>(frames - taken);
    if ((flags & paInputOverflow) != 0) self.lost_ += static_cast<int64_t>(frames);  // how many is not told
    return paContinue;
  }

  Library library_;
  std::optional<SampleRing> ring_;
  std::optional<StreamingResampler> resampler_;
  std::vector<float> block_;
  std::atomic<int64_t> taken_{0}, lost_{0};
  Stream stream_;  // last: its thread uses the others
};

class Loudspeaker : public SoundOutput {
 public:
  explicit Loudspeaker(const std::string& device) : stream_(library_, device, false, &Loudspeaker::give, this) {
    stream_.start();
  }

  void play(const Audio& audio, int64_t /*at*/) override {
    require(stream_.active(), "the loudspeaker has stopped: was it unplugged?");
    auto samples = resample(audio.samples, audio.rate, stream_.rate());
    const std::lock_guard lock(mutex_);
    if (next_ == waiting_.size()) {
      waiting_.swap(samples);
      next_ = 0;
    } else {
      waiting_.insert(waiting_.end(), samples.begin(), samples.end());
    }
  }
  void stop(int64_t /*at*/) override {
    const std::lock_guard lock(mutex_);
    next_ = waiting_.size();
  }
  double latency() const override { return stream_.latency(); }
  void finish(const std::function<bool()>& stop) override {
    const auto left = [&] {
      const std::lock_guard lock(mutex_);
      return next_ < waiting_.size();
    };
    while (!stop() && stream_.active() && left()) std::this_thread::sleep_for(kNap);
    const std::chrono::duration<double> on_its_way(stream_.latency());
    if (!stop()) std::this_thread::sleep_for(on_its_way);
  }

 private:
  static int give(const void* /*input*/, void* output, unsigned long frames, const PaStreamCallbackTimeInfo* /*time*/,
                  PaStreamCallbackFlags /*flags*/, void* user) {
    auto& self = *static_cast<Loudspeaker*>(user);
    const std::span to(static_cast<float*>(output), frames);
    size_t count = 0;
    // Never waits: while the other thread holds the samples, a block of silence is played instead.
    if (const std::unique_lock lock(self.mutex_, std::try_to_lock); lock) {
      count = std::min(to.size(), self.waiting_.size() - self.next_);
      std::copy_n(self.waiting_.begin() + static_cast<std::ptrdiff_t>(self.next_), count, to.begin());
      self.next_ += count;
    }
    std::ranges::fill(to.subspan(count), 0.F);
    return paContinue;
  }

  Library library_;
  std::mutex mutex_;
  std::vector<float> waiting_;
  size_t next_ = 0;  // of waiting_ to be played
  Stream stream_;    // last: its thread uses the others
};

}  // namespace

std::vector<SoundDevice> sound_devices() {
  return devices_of(Library());
}

std::unique_ptr<SoundSource> open_microphone(const std::string& device) {
  return std::make_unique<Microphone>(device);
}

std::unique_ptr<SoundOutput> open_loudspeaker(const std::string& device) {
  return std::make_unique<Loudspeaker>(device);
}

}  // namespace ichigo
