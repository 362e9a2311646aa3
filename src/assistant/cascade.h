// The baseline that the fused model is measured against: Whisper writes down what it hears, a language model answers
// the text.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "assistant/conversation.h"
#include "models/whisper_decoding.h"

namespace ichigo {

// Whisper and the vocabulary to read its tokens with.
struct Recogniser {
  Whisper whisper;
  WhisperVocabulary vocabulary;
  // 16 kHz samples -> what was said. Other languages than English are recognised by multilingual models.
  std::string transcribe(std::span<const float> samples, WhisperTiming* timing = nullptr) const;
};

// A folder with Whisper's weights in any known format and its tokenizer.json; computes in float32. Throws Error.
Recogniser load_recogniser(const std::filesystem::path& folder);

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
