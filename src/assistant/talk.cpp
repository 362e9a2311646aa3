#include "assistant/talk.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"
#include "text/trim.h"

namespace ichigo {
namespace {

using Kind = SpeechEvent::Kind;

double seconds(int64_t samples) {
  return static_cast<double>(samples) / kSampleRate;
}
int64_t in_samples(double seconds) {
  return std::llround(seconds * kSampleRate);
}

}  // namespace

void TalkConfig::validate() const {
  activity.validate();
  require(echo_tail >= 0 && echo_tail <= 5, "the room's echo must last 0 to 5 s, not ", echo_tail, " s");
}

Talk::Talk(TalkPartner& partner, SoundSource& source, TalkConfig config, TalkSinks sinks)
    : partner_(partner), source_(source), config_(config), sinks_(std::move(sinks)), activity_(config.activity) {
  config_.validate();
}

void Talk::speak_with(TextToSpeech& voice, SoundOutput& output) {
  voice_ = &voice;
  output_ = &output;
}

void Talk::run(const std::function<bool()>& stop) {
  stop_ = stop;
  try {
    go_on();
  } catch (const Error&) {
    // What was spoken so far is kept.
    try {
      if (output_ != nullptr) output_->finish([] { return true; });
    } catch (const Error& error) {
      sinks_.notice(error.what());
    }
    throw;
  }
  if (output_ != nullptr) output_->finish(stop_);
}

void Talk::go_on() {
  while (!stop_()) {
    if (!events_.empty()) {
      const SpeechEvent event = events_.front();
      events_.pop_front();
      handle(event);
      continue;
    }
    if (speaking_ && !paused_) feed(activity_.accepted());
    if (!collect(true) && events_.empty()) break;
  }
}

// Takes what the source has. False once it is over.
bool Talk::collect(bool wait) {
  if (over_) return false;
  over_ = !source_.read(block_, wait);
  if (source_.lost() > lost_) {
    sinks_.notice(concat(seconds(source_.lost() - lost_), " s of sound came faster than they could be heard"));
    lost_ = source_.lost();
  }
  const int64_t deaf_until =
      config_.barge_in ? 0 : sounds_until_ + (sounds_until_ > 0 ? in_samples(config_.echo_tail) : 0);
  const int64_t position = activity_.accepted() + unheard_;
  const int64_t deaf = std::clamp<int64_t>(deaf_until - position, 0, static_cast<int64_t>(block_.size()));
  unheard_ += deaf;
  const auto heard = std::span(block_).subspan(static_cast<size_t>(deaf));
  const auto events = over_ ? activity_.finish() : activity_.accept(heard);
  kept_.insert(kept_.end(), heard.begin(), heard.end());
  events_.insert(events_.end(), events.begin(), events.end());

  int64_t needed = activity_.accepted() - VoiceActivity::kLookBack - in_samples(config_.activity.pre_roll);
  if (speaking_) needed = std::min(needed, fed_);
  for (const SpeechEvent& event : events_) needed = std::min(needed, event.sample);
  if (needed - kept_from_ > kSampleRate) {
    kept_.erase(kept_.begin(), kept_.begin() + (needed - kept_from_));
    kept_from_ = needed;
  }
  return !over_;
}

void Talk::handle(const SpeechEvent& event) {
  switch (event.kind) {
    case Kind::kBegun:
      interrupt_speaking();
      speaking_ = true;
      paused_ = false;
      fed_ = std::max(event.sample, kept_from_);
      turn_ = {};
      return;
    case Kind::kPaused:
      feed(event.decided);
      if (!speaking_) return;
      paused_ = true;
      silence_ = event.sample;
      certain_ = false;
      // Where it is known already what came of the pause there is nothing to guess.
      if (events_.empty()) think();
      return;
    case Kind::kResumed:
      paused_ = false;
      if (reply_) ++turn_.withdrawn;
      reply_.reset();
      return;
    case Kind::kEnded:
      if (!speaking_) return;
      certain_ = true;
      if (reply_) {
        make_certain();
        finish_turn();
      } else {
        think();
      }
      return;
  }
}

void Talk::feed(int64_t end) {
  if (!speaking_ || end <= fed_) return;
  const auto from = static_cast<size_t>(fed_ - kept_from_);
  try {
    partner_.hear(std::span(kept_).subspan(from, static_cast<size_t>(end - fed_)));
    fed_ = end;
  } catch (const Error& error) {
    drop(error.what());
  }
}

// What is being said is forgotten, and not listened to until it ends.
void Talk::drop(const std::string& why) {
  partner_.drop_speech();
  reply_.reset();
  speaking_ = paused_ = false;
  sinks_.notice(why);
}

double Talk::seconds_since_silence() const {
  return seconds(source_.arrived() - unheard_ - silence_);
}

void Talk::make_certain() {
  certain_ = true;
  turn_.shown = std::max(turn_.first_token, seconds_since_silence());
  if (!text_.empty()) sinks_.text(text_);
}

// The reply as if the pause were the end, as long as nothing is heard that contradicts.
void Talk::think() {
  text_.clear();
  bool first = true;
  Stopwatch watch;
  const double before = seconds_since_silence();
  const auto note_first = [&] {
    if (!std::exchange(first, false)) return;
    turn_.first_token = before + watch.lap() / 1000;
    if (certain_) turn_.shown = turn_.first_token;
  };
  const auto take = [&](std::string_view piece) {
    note_first();
    text_ += piece;
    if (certain_) sinks_.text(piece);
  };
  try {
    Reply reply = partner_.reply_so_far(take, [this] { return go_on_thinking(); });
    note_first();
    if (!certain_ && !events_.empty() && events_.front().kind == Kind::kResumed) {
      ++turn_.withdrawn;
      return;
    }
    reply_ = std::move(reply);
  } catch (const Error& error) {
    drop(error.what());
    return;
  }
  if (certain_) finish_turn();
}

bool Talk::go_on_thinking() {
  collect(false);
  while (!events_.empty()) {
    const Kind kind = events_.front().kind;
    if (kind == Kind::kResumed) return false;
    if (kind == Kind::kBegun) {
      turn_.interrupted = true;
      return false;
    }
    events_.pop_front();
    if (kind == Kind::kEnded) make_certain();
  }
  return !stop_();
}

// Whoever speaks now stops the voice at once; the transcript is completed all the same.
bool Talk::go_on_transcribing() {
  collect(false);
  if (std::ranges::any_of(events_, [](const SpeechEvent& event) { return event.kind == Kind::kBegun; })) {
    interrupt_speaking();
  }
  return !stop_();
}

void Talk::finish_turn() {
  partner_.accept_reply();
  turn_.reply = *std::exchange(reply_, std::nullopt);
  speaking_ = paused_ = false;
  if (turn_.reply.dropped_turns > 0) {
    sinks_.notice(concat("the conversation is longer than the model can hold; its oldest turns (",
                         turn_.reply.dropped_turns, ") are forgotten"));
  }
  speak();
  turn_.heard = partner_.heard([this] { return go_on_transcribing(); });
  sinks_.turn(turn_);
}

void Talk::speak() {
  const std::string text(trimmed(turn_.reply.text));
  // Whoever speaks already is not spoken over.
  if (voice_ == nullptr || text.empty() || turn_.interrupted || !events_.empty()) return;
  try {
    const Audio audio = voice_->speak(text);
    const int64_t now = source_.arrived();  // making the voice has taken its time
    output_->play(audio, now);
    sounds_from_ = now + in_samples(output_->latency());
    sounds_until_ = sounds_from_ + in_samples(audio.seconds());
    spoken_bytes_ = turn_.reply.text.size();
  } catch (const Error& error) {
    sinks_.notice(error.what());
    return;
  }
  if (!config_.barge_in) activity_.drop();
}

void Talk::interrupt_speaking() {
  const int64_t now = activity_.accepted() + unheard_;
  if (output_ == nullptr || now >= sounds_until_) return;
  output_->stop(now);
  const double share = static_cast<double>(now - sounds_from_) / static_cast<double>(sounds_until_ - sounds_from_);
  partner_.keep_of_last_answer(static_cast<size_t>(std::max(0.0, share) * static_cast<double>(spoken_bytes_)));
  sounds_until_ = now;
}

}  // namespace ichigo
