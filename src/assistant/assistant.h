// What answers: the fused model (conversation.h) or Whisper followed by a language model (cascade.h).
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "assistant/answer_timing.h"
#include "assistant/text_stream.h"

namespace ichigo {

struct Reply {
  std::string text;
  AnswerTiming timing;                                             // load is 0: the assistant was loaded before
  int64_t sound_tokens = 0, prompt_tokens = 0, answer_tokens = 0;  // sound_tokens are part of prompt_tokens
  bool cut_off = false;                                            // the answer reached the greatest length
  bool interrupted = false;                                        // the answer was stopped by who asked for it
  int64_t dropped_turns = 0;  // the oldest turns, forgotten because the model could not hold them any more
};

class Assistant {
 public:
  virtual ~Assistant() = default;
  // Answers speech (16 kHz samples), which `text`, if any, precedes in the same turn. Pieces of the answer go to
  // `sink` as they come. Throws Error when nothing can be heard by this model or the conversation got too long; the
  // conversation is then as it was before.
  virtual Reply hear(std::span<const float> samples, const std::string& text, const TextSink& sink) = 0;
  // Answers typed text.
  virtual Reply ask(const std::string& text, const TextSink& sink) = 0;
  // What was said in the last speech, in words; "" before any.
  virtual std::string heard() = 0;
  // Forgets the turns so far.
  virtual void reset() = 0;
};

}  // namespace ichigo
