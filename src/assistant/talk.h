// A spoken conversation while time goes on: samples from a source, through voice activity, to who answers, and the
// answers out as text and perhaps as speech. A reply is begun as soon as the speaker pauses, withheld until the silence
// is long enough to be the end, and withdrawn when speech goes on. One thread does it all: while a reply is generated
// the source is looked at before every token.
// Not here: models, sound cards, the terminal; each is behind an interface.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "assistant/assistant.h"
#include "audio/sound_stream.h"
#include "audio/text_to_speech.h"
#include "audio/voice_activity.h"

namespace ichigo {

// Who answers, as assistant/conversation.h says it.
class TalkPartner {
 public:
  virtual ~TalkPartner() = default;
  // More of the speech that goes on, 16 kHz; withdraws a reply.
  virtual void hear(std::span<const float> samples) = 0;
  // The reply as if the speech ended here; stops where `go_on`, asked before every token, says false.
  virtual Reply reply_so_far(const TextSink& sink, const std::function<bool()>& go_on) = 0;
  virtual void accept_reply() = 0;
  virtual void drop_speech() = 0;
  // Of the answer that was accepted last only the first bytes came to be heard.
  virtual void keep_of_last_answer(size_t bytes) = 0;
  // What was said in the turn that was accepted last; stops where `go_on`, asked before every token, says false.
  virtual std::string heard(const std::function<bool()>& go_on) = 0;
};

struct TalkConfig {
  VoiceActivityConfig activity;
  // False: hears nothing while its own voice sounds (and `echo_tail` seconds longer), since a loudspeaker is heard by
  // the microphone. True, for headphones: whoever speaks then interrupts it.
  bool barge_in = false;
  double echo_tail = 0.3;
  void validate() const;  // throws Error
};

struct TalkTurn {
  std::string heard;
  Reply reply;
  double first_token = 0;    // seconds from the end of the speech until there was one...
  double shown = 0;          // ...and until it was certain that this was the end, and the answer shown
  int withdrawn = 0;         // replies to what turned out to be a pause
  bool interrupted = false;  // somebody spoke before the answer was complete
};

struct TalkSinks {
  TextSink text;                                   // the answer piece by piece; nothing of what is withdrawn
  std::function<void(const TalkTurn&)> turn;       // a turn is complete
  std::function<void(const std::string&)> notice;  // one sentence: what went wrong, and that it goes on
};

class Talk {
 public:
  // The partner and the source must outlive it. Throws Error.
  Talk(TalkPartner& partner, SoundSource& source, TalkConfig config, TalkSinks sinks);
  // Speaks the answers; both must outlive it.
  void speak_with(TextToSpeech& voice, SoundOutput& output);
  // Until the source is over or `stop` says so. Throws Error when the source fails; the output is finished anyway.
  void run(const std::function<bool()>& stop);

 private:
  void go_on();
  bool collect(bool wait);
  void handle(const SpeechEvent& event);
  void feed(int64_t end);
  void think();
  bool go_on_thinking();
  bool go_on_transcribing();
  void make_certain();
  void finish_turn();
  void speak();
  void interrupt_speaking();
  void drop(const std::string& why);
  double seconds_since_silence() const;

  TalkPartner& partner_;
  SoundSource& source_;
  TalkConfig config_;
  TalkSinks sinks_;
  TextToSpeech* voice_ = nullptr;
  SoundOutput* output_ = nullptr;
  std::function<bool()> stop_;

  // Positions are samples that the voice activity accepted; the source's are `unheard_` more.
  VoiceActivity activity_;
  std::deque<SpeechEvent> events_;   // not handled yet
  std::vector<float> block_, kept_;  // kept_: samples that may still be part of speech
  int64_t kept_from_ = 0, unheard_ = 0, lost_ = 0;
  bool over_ = false;

  bool speaking_ = false, paused_ = false;
  int64_t fed_ = 0;             // the partner heard what is before it
  int64_t silence_ = 0;         // where the speech paused
  std::optional<Reply> reply_;  // complete, but maybe not certain
  bool certain_ = false;
  std::string text_;
  TalkTurn turn_;

  int64_t sounds_from_ = 0, sounds_until_ = 0;  // samples of the source: its own voice
  size_t spoken_bytes_ = 0;
};

}  // namespace ichigo
