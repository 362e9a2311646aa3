// A conversation with one language model: speech and text turns in, streamed text out. It owns the model and its
// KV cache, which lives across turns, so that each turn only costs its own tokens.
// Not here: what a turn looks like as tokens (text/chat_prompt).
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "assistant/assistant.h"
#include "assistant/sampler.h"
#include "models/fused_model.h"

namespace ichigo {

struct ConversationConfig {
  std::optional<std::string> system_prompt;  // empty: none at all; not given: what the model's template says
  SamplingConfig sampling;                   // the model's own stop tokens are added to these
  int64_t max_new_tokens = 256;
  void validate() const;  // throws Error
};

class Conversation : public Assistant {
 public:
  Conversation(FusedModel model, ConversationConfig config);

  // Throws Error with a text-only model.
  Reply hear(std::span<const float> samples, const std::string& text, const TextSink& sink) override;
  Reply ask(const std::string& text, const TextSink& sink) override;
  // Transcribed by the same model from the same sound tokens, in a cache of its own.
  std::string heard() override;
  void reset() override;

  // Transcription of speech outside of any conversation.
  std::string transcribe(std::span<const float> samples);
  // Every token of the conversation so far, prompts and answers.
  const std::vector<int64_t>& tokens() const { return tokens_; }
  const FusedModel& model() const { return model_; }

 private:
  std::vector<int> listen(std::span<const float> samples, AnswerTiming& timing) const;
  Reply answer(const UserTurn& turn, const TextSink& sink, AnswerTiming timing);
  Reply generate(std::vector<int64_t>& tokens, KeyValueCache& cache, Sampler& sampler, int64_t max_new_tokens,
                 const TextSink& sink, AnswerTiming timing);
  std::string transcribe(const std::vector<int>& sound);

  FusedModel model_;
  ConversationConfig config_;
  ChatPrompt prompt_;
  Sampler sampler_;
  std::vector<std::pair<int64_t, int64_t>> sound_ids_;  // ranges that an answer never has; none in a text model
  KeyValueCache cache_;                                 // holds a prefix of tokens_
  std::vector<int64_t> tokens_;
  std::vector<int> last_sound_;
};

}  // namespace ichigo
