// Where speech begins, pauses and ends in a stream of samples, in any steady noise. Speech is what stands out of the
// background and has a voice in it (speech_frames), so clicks, taps and hiss are none, but neither is whispering.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "audio/audio_file.h"
#include "audio/speech_frames.h"

namespace ichigo {

struct VoiceActivityConfig {
  double end_delay = 0.5;         // seconds of silence after which speech has ended
  double pause_delay = 0.2;       // seconds of silence after which a possible end is told; at most end_delay
  double pre_roll = 0.3;          // seconds before the first sound of speech that are part of it
  double shortest_speech = 0.1;   // seconds that must stand out of the background; anything shorter is noise
  double longest_speech = 60;     // seconds: speech is ended there whatever comes
  double begin_prominence = 2.5;  // dB, mean over the frequency bands, by which speech stands out where it begins...
  double go_on_prominence = 1.6;  // ...and by which it goes on
  void validate() const;          // throws Error
};

struct SpeechEvent {
  enum class Kind {
    kBegun,    // sample: the first of the speech, pre-roll included
    kPaused,   // sample: the first of the silence; maybe the end
    kResumed,  // sample: the first that is speech again
    kEnded     // sample: the first of the silence that ended it
  };
  Kind kind;
  int64_t sample;   // counted from the first that was ever accepted
  int64_t decided;  // samples that had to be heard to know it
};

// Accepts samples in chunks of any size; the events do not depend on the sizes. kBegun, then any number of pairs
// kPaused, kResumed, then kPaused and kEnded.
class VoiceActivity {
 public:
  // No event's sample lies further back than pre_roll and this many samples.
  static constexpr int64_t kLookBack = SpeechFrames::kHop * SpeechFrames::kRemembered;

  explicit VoiceActivity(VoiceActivityConfig config = {});

  // Throws Error when a sample is not a finite number.
  std::vector<SpeechEvent> accept(std::span<const float> samples);
  // The stream has ended, and with it the speech. Nothing may be accepted after it.
  std::vector<SpeechEvent> finish();
  // Forgets speech that is going on, without an event, but not the background.
  void drop();

  bool speaking() const { return speaking_; }
  int64_t accepted() const { return accepted_; }

 private:
  void decide(int64_t frame, std::vector<SpeechEvent>& events);
  bool begun(int64_t frame) const;
  int64_t first_of_speech(int64_t frame) const;
  bool goes_on(int64_t frame);
  void add(SpeechEvent::Kind kind, int64_t sample, std::vector<SpeechEvent>& events);

  VoiceActivityConfig config_;
  SpeechFrames frames_;
  std::vector<float> waiting_;  // samples from the next frame's first on
  int64_t accepted_ = 0;
  bool speaking_ = false, paused_ = false, finished_ = false;
  int64_t earliest_ = 0;     // frame before which nothing belongs to the next speech
  int64_t begin_ = 0;        // sample
  int64_t last_speech_ = 0;  // frame
  int64_t last_voiced_ = 0;  // frame
  int64_t resumed_ = 0;      // frame: of the run that may end a pause, the first
  double loudest_ = 0;       // dB, slowly forgotten
};

}  // namespace ichigo
