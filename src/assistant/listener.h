// Speech as it comes: samples in, sound codes out while the person still speaks. Not here: where speech begins and ends
// (audio/voice_activity), and what is done with the codes (conversation.h).
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "models/sound_tokenizer.h"

namespace ichigo {

class Listener {
 public:
  virtual ~Listener() = default;
  // The next 16 kHz samples, a chunk of any size. Throws Error when one is no number.
  virtual void hear(std::span<const float> samples) = 0;
  // The codes of what was heard so far, as far as they were looked at.
  virtual const std::vector<int>& codes() const = 0;
  // So many of the first codes are likely to stay as they are while more is heard: worth prefilling.
  virtual size_t steady() const = 0;
  // What SoundTokenizer::encode gives for all that was heard, as if the speech ended here. More may be heard after it.
  // The time that the log-mel took is added to *mel_milliseconds.
  virtual std::vector<int> codes_if_ended(double* mel_milliseconds = nullptr) = 0;
  // Forgets the speech.
  virtual void reset() = 0;
};

// For a tokenizer whose encoder sees the whole window: the open window, at most 30 s, is encoded again after every
// 0.4 s of speech, more seldom where that would take more than a quarter of the time; steady are the codes on which the
// last two times agreed. Windows are cut as hearing_windows() cuts them, and a complete one is never encoded again.
// Little is steady before the end. With the default model, 0.4 s more of speech change, of people's recordings of
// 2, 4, 8 and 16 s, 30, 16, 8 and 4 % of the codes (18, 10, 6 and 3 % of those older than 1 s), the first of them after
// 5, 7, 16 and 80 codes on average; in float32 as in bfloat16.
//
// For a tokenizer with block-causal attention (models/streaming_sound_tokenizer) all codes are steady when they come.
std::unique_ptr<Listener> make_listener(const SoundTokenizer& tokenizer);

}  // namespace ichigo
