// The baseline that the fused model is measured against: Whisper writes down what it hears, a language model answers
// the text.
#pragma once
#include <string>

#include "assistant/conversation.h"
#include "assistant/transcription.h"

namespace ichigo {

// Makes a 135M model's answers fit to be spoken: short, and without lists or code.
extern const char* const kSpokenSystemPrompt;

class Cascade : public Assistant {
 public:
  // `model` may be text-only; its ear, if any, is not used.
  Cascade(Recogniser recogniser, FusedModel model, ConversationConfig config);

  // Where nothing was said, the answer is that nothing was heard, and no turn takes place.
  Reply hear(std::span<const float> samples, const std::string& text, const TextSink& sink) override;
  Reply ask(const std::string& text, const TextSink& sink) override { return conversation_.ask(text, sink); }
  std::string heard() override { return heard_; }
  void reset() override;

 private:
  Recogniser recogniser_;
  Conversation conversation_;
  std::string heard_;
};

}  // namespace ichigo
