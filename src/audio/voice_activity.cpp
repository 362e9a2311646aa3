#include "audio/voice_activity.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr int kHop = SpeechFrames::kHop;
constexpr int kWindow = SpeechFrames::kWindow;
constexpr double kFrameRate = static_cast<double>(kSampleRate) / kHop;
constexpr double kVoiced = 0.6;          // periodicity of a voiced frame
constexpr int kVoicedFrames = 4;         // that speech must have where it begins
constexpr int kUnvoicedFrames = 40;      // that speech may have at its end or between two voiced ones
constexpr int kGapFrames = 12;           // that a word may be silent (the closure of a stop)
constexpr int kResumingFrames = 5;       // that must be speech before a pause is over
constexpr double kQuietest = 35;         // dB below the loudest of the speech that still is speech...
constexpr double kForgetLoudest = 0.05;  // ...which gets so many dB less loud with every frame

int64_t frames(double seconds) {
  return std::llround(seconds * kFrameRate);
}
// What a frame says is true of its middle 10 ms.
int64_t first_sample(int64_t frame) {
  return frame * kHop + (kWindow - kHop) / 2;
}

}  // namespace

void VoiceActivityConfig::validate() const {
  require(pause_delay >= 0.03 && pause_delay <= end_delay && end_delay <= 10,
          "voice activity: a pause must be told after 0.03 s or more and an end no sooner, at most after 10 s, not ",
          pause_delay, " s and ", end_delay, " s");
  require(pre_roll >= 0 && pre_roll <= 2, "voice activity: the pre-roll must be 0 to 2 s, not ", pre_roll, " s");
  require(shortest_speech >= 0.05 && shortest_speech <= 0.7,
          "voice activity: the shortest speech must be 0.05 to 0.7 s, not ", shortest_speech, " s");
  require(longest_speech >= 2 && longest_speech <= 3600, "voice activity: the longest speech must be 2 to 3600 s, not ",
          longest_speech, " s");
  require(go_on_prominence >= 1.5 && begin_prominence >= go_on_prominence && begin_prominence <= 40,
          "voice activity: speech must begin at 1.5 to 40 dB above the background and go on at no more, not ",
          begin_prominence, " dB and ", go_on_prominence, " dB");
}

VoiceActivity::VoiceActivity(VoiceActivityConfig config) : config_(config) {
  config_.validate();
}

void VoiceActivity::add(SpeechEvent::Kind kind, int64_t sample, std::vector<SpeechEvent>& events) {
  events.push_back({kind, sample, finished_ ? accepted_ : (frames_.count() - 1) * kHop + kWindow});
}

std::vector<SpeechEvent> VoiceActivity::accept(std::span<const float> samples) {
  require(!finished_, "voice activity: samples after the end of the stream");
  for (size_t i = 0; i < samples.size(); ++i) {
    require(std::isfinite(samples[i]), "voice activity: sample ", accepted_ + static_cast<int64_t>(i),
            " is not a finite number");
  }
  waiting_.insert(waiting_.end(), samples.begin(), samples.end());
  accepted_ += static_cast<int64_t>(samples.size());
  std::vector<SpeechEvent> events;
  size_t at = 0;
  for (; at + kWindow <= waiting_.size(); at += kHop) {
    frames_.add(std::span(waiting_).subspan(at, kWindow));
    decide(frames_.count() - 1, events);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(at));
  return events;
}

std::vector<SpeechEvent> VoiceActivity::finish() {
  std::vector<SpeechEvent> events;
  if (finished_) return events;
  finished_ = true;
  if (!speaking_) return events;
  const int64_t end = paused_ ? first_sample(last_speech_ + 1) : accepted_;
  if (!paused_) add(SpeechEvent::Kind::kPaused, end, events);
  add(SpeechEvent::Kind::kEnded, end, events);
  speaking_ = false;
  return events;
}

void VoiceActivity::drop() {
  speaking_ = paused_ = false;
  earliest_ = frames_.count();
}

// Enough of the last frames stand out, this one and some voiced ones among them.
bool VoiceActivity::begun(int64_t frame) const {
  const auto stands_out = [&](int64_t index) { return frames_.prominence(index) >= config_.begin_prominence; };
  if (!stands_out(frame)) return false;
  const int64_t needed = frames(config_.shortest_speech);
  int64_t loud = 0;
  int voiced = 0;
  for (int64_t index = std::max(earliest_, frame - needed * 2); index <= frame; ++index) {
    if (!stands_out(index)) continue;
    ++loud;
    if (frames_.periodicity(index) >= kVoiced) ++voiced;
  }
  return loud >= needed && voiced >= kVoicedFrames;
}

// Goes back from `frame` as long as the sound before it stands out of the background as it is known now.
int64_t VoiceActivity::first_of_speech(int64_t frame) const {
  int64_t first = frame;
  const int64_t limit = std::max(earliest_, frames_.count() - SpeechFrames::kRemembered);
  for (int64_t index = frame; index >= limit && first - index <= kGapFrames; --index) {
    if (frames_.prominence(index) >= config_.begin_prominence) first = index;
  }
  return first;
}

bool VoiceActivity::goes_on(int64_t frame) {
  const double prominence = frames_.prominence(frame);
  if (prominence >= config_.begin_prominence) {
    loudest_ = std::max(loudest_, frames_.level(frame));
    if (frames_.periodicity(frame) >= kVoiced) last_voiced_ = frame;
  }
  loudest_ -= kForgetLoudest;
  return prominence >= config_.go_on_prominence && frames_.level(frame) >= loudest_ - kQuietest &&
         frame - last_voiced_ <= kUnvoicedFrames;
}

void VoiceActivity::decide(int64_t frame, std::vector<SpeechEvent>& events) {
  using Kind = SpeechEvent::Kind;
  if (!speaking_) {
    if (!begun(frame)) return;
    const int64_t first = first_of_speech(frame);
    const int64_t pre_roll = std::llround(config_.pre_roll * kSampleRate);
    begin_ = std::max(earliest_ == 0 ? 0 : first_sample(earliest_), first_sample(first) - pre_roll);
    speaking_ = true;
    paused_ = false;
    last_speech_ = last_voiced_ = frame;
    loudest_ = frames_.level(frame);
    add(Kind::kBegun, begin_, events);
    return;
  }
  const bool speech = goes_on(frame);
  if (!paused_) {
    if (speech) last_speech_ = frame;
    if (frame - last_speech_ >= frames(config_.pause_delay)) {
      paused_ = true;
      resumed_ = frame + 1;
      add(Kind::kPaused, first_sample(last_speech_ + 1), events);
    }
  } else if (!speech) {
    resumed_ = frame + 1;
  } else if (frame - resumed_ + 1 >= kResumingFrames) {
    paused_ = false;
    last_speech_ = frame;
    add(Kind::kResumed, first_sample(resumed_), events);
  }
  const bool too_long = first_sample(frame) - begin_ >= config_.longest_speech * kSampleRate;
  if (!too_long && (!paused_ || frame - last_speech_ < frames(config_.end_delay) || resumed_ <= frame)) return;
  const int64_t end = paused_ ? last_speech_ + 1 : frame + 1;
  if (!paused_) add(Kind::kPaused, first_sample(end), events);
  add(Kind::kEnded, first_sample(end), events);
  speaking_ = paused_ = false;
  earliest_ = end;
}

}  // namespace ichigo
