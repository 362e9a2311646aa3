#include "assistant/listener.h"

#include <algorithm>
#include <cmath>

#include "audio/pauses.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "models/streaming_sound_tokenizer.h"

namespace ichigo {
namespace {

constexpr size_t kShortestInterval = kSampleRate * 2 / 5;
constexpr double kShare = 0.25;         // of the time of the speech that encoding it while it goes on may take
constexpr size_t kPiece = kSampleRate;  // what is added to the window at once, so that it stays bounded

size_t samples_in(double seconds) {
  return static_cast<size_t>(seconds * kSampleRate);
}

void require_numbers(std::span<const float> samples) {
  require(std::ranges::all_of(samples, [](float sample) { return std::isfinite(sample); }),
          "the speech has samples that are no numbers");
}

class FaithfulListener : public Listener {
 public:
  explicit FaithfulListener(const SoundTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void hear(std::span<const float> samples) override {
    require_numbers(samples);
    while (!samples.empty()) {
      const auto piece = samples.first(std::min(kPiece, samples.size()));
      window_.insert(window_.end(), piece.begin(), piece.end());
      unheard_ += piece.size();
      if (window_.size() > longest_) complete_window();
      samples = samples.subspan(piece.size());
    }
    if (unheard_ >= interval_) encode_window(nullptr);
  }

  const std::vector<int>& codes() const override { return codes_; }
  size_t steady() const override { return steady_; }

  std::vector<int> codes_if_ended(double* mel_milliseconds) override {
    if (unheard_ > 0) encode_window(mel_milliseconds);
    return codes_;
  }

  void reset() override { *this = FaithfulListener(tokenizer_); }

 private:
  void encode_window(double* mel_milliseconds) {
    Stopwatch watch;
    const std::vector<int> now = tokenizer_.encode(window_, mel_milliseconds);
    interval_ = std::max(kShortestInterval, samples_in(watch.lap() / 1000 / kShare));
    unheard_ = 0;
    const auto before = codes_.begin() + static_cast<std::ptrdiff_t>(complete_);
    steady_ =
        complete_ + static_cast<size_t>(std::ranges::mismatch(now, std::span(before, codes_.end())).in1 - now.begin());
    codes_.resize(complete_);
    codes_.insert(codes_.end(), now.begin(), now.end());
  }

  void complete_window() {
    const size_t cut = split_at_pauses(window_, kHearingPauses)[1];
    const std::vector<int> complete = tokenizer_.encode(std::span(window_).first(cut));
    codes_.resize(complete_);
    codes_.insert(codes_.end(), complete.begin(), complete.end());
    complete_ = steady_ = codes_.size();
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(cut));
    longest_ = samples_in(kHearingPauses.longest);
  }

  SoundTokenizer tokenizer_;
  std::vector<float> window_;  // the samples behind the last cut
  // A window is full beyond so many samples: the first one may fill Whisper's, later ones are cut like any long audio.
  size_t longest_ = size_t{kWindowFrames} * kHop;
  std::vector<int> codes_;
  size_t complete_ = 0, steady_ = 0;  // codes of complete windows; codes that agreed the last two times
  size_t unheard_ = 0, interval_ = kShortestInterval;  // samples since the window was encoded; when it is to be again
};

class StreamingListener : public Listener {
 public:
  explicit StreamingListener(const SoundTokenizer& tokenizer) : tokenizer_(tokenizer), stream_(tokenizer) {}

  void hear(std::span<const float> samples) override {
    require_numbers(samples);
    const std::vector<int> settled = stream_.accept(samples);
    codes_.insert(codes_.end(), settled.begin(), settled.end());
  }

  const std::vector<int>& codes() const override { return codes_; }
  size_t steady() const override { return codes_.size(); }

  std::vector<int> codes_if_ended(double*) override {
    StreamingSoundTokenizer ending = stream_;
    std::vector<int> codes = codes_;
    const std::vector<int> rest = ending.finish();
    codes.insert(codes.end(), rest.begin(), rest.end());
    return codes;
  }

  void reset() override { *this = StreamingListener(tokenizer_); }

 private:
  SoundTokenizer tokenizer_;
  StreamingSoundTokenizer stream_;
  std::vector<int> codes_;
};

}  // namespace

std::unique_ptr<Listener> make_listener(const SoundTokenizer& tokenizer) {
  if (tokenizer.streaming()) return std::make_unique<StreamingListener>(tokenizer);
  return std::make_unique<FaithfulListener>(tokenizer);
}

}  // namespace ichigo
