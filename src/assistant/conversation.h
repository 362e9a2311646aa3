// A conversation with one language model: speech and text turns in, streamed text out. It owns the model and its
// KV cache, which lives across turns, so that each turn only costs its own tokens.
// Not here: what a turn looks like as tokens (text/chat_prompt), when somebody speaks (audio/voice_activity). One
// thread at a time may use it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assistant/assistant.h"
#include "assistant/listener.h"
#include "assistant/sampler.h"
#include "models/fused_model.h"

namespace ichigo {

struct ConversationConfig {
  std::optional<std::string> system_prompt;  // empty: none at all; not given: what the model's template says
  SamplingConfig sampling;                   // the model's own stop tokens are added to these
  int64_t max_new_tokens = 256;
  void validate() const;  // throws Error
};

// Where the model's positions come to an end the oldest turns are forgotten, questions with their answers, until they
// take at most half of the positions; the system prompt stays. A turn that fits in no way is an Error. Whatever throws
// Error leaves the conversation as it was before the turn.
class Conversation : public Assistant {
 public:
  // Asked before every token of an answer; false stops it.
  using GoOn = std::function<bool()>;

  Conversation(FusedModel model, ConversationConfig config);

  // Throws Error with a text-only model.
  Reply hear(std::span<const float> samples, const std::string& text, const TextSink& sink) override;
  Reply ask(const std::string& text, const TextSink& sink) override;
  // Transcribed by the same model from the same sound tokens (or vectors), in a cache of its own.
  std::string heard() override;
  std::string heard(const GoOn& go_on);
  void reset() override;

  // The next 16 kHz samples of speech that still goes on, a chunk of any size: what is likely to stay is prefilled, so
  // that little is left to do at its end (a model that hears vectors does all of it there). A reply to the speech so
  // far is withdrawn. Throws Error with a text-only model and as soon as the speech is too long for the model; the
  // speech is then dropped.
  void hear(std::span<const float> samples);
  // The reply to what was heard so far, as if the speech ended here: token for token that of hear() with the whole
  // recording. It stands until more is heard, and is part of the conversation once it is accepted. Asked again, it is
  // given again as it stands. Throws Error when nothing was heard or the speech is too short; it is then dropped.
  Reply reply_so_far(const TextSink& sink, const GoOn& go_on = {});
  // Makes the reply that stands part of the conversation. Throws Error when there is none.
  void accept_reply();
  // reply_so_far, then accept_reply.
  Reply end_of_speech(const TextSink& sink, const GoOn& go_on = {});
  // Forgets the speech that goes on, and a reply to it, as if it had been noise. Without any, nothing happens.
  void drop_speech();
  // After an interruption: the last answer ends where its text has so many bytes, at a whole token. Where nothing of it
  // is left, the whole turn is forgotten. Throws Error while speech goes on.
  void keep_of_last_answer(size_t bytes);

  // Transcription of speech outside of any conversation.
  std::string transcribe(std::span<const float> samples);
  // Every token of the conversation so far, prompts and answers, with what is prefilled of speech that goes on; below 0
  // what was heard as a vector.
  const std::vector<int64_t>& tokens() const { return history_.tokens; }
  // So many turns are remembered, with that of speech that goes on.
  size_t turns() const { return history_.turns.size(); }
  const FusedModel& model() const { return model_; }

 private:
  struct History {
    std::vector<int64_t> tokens;
    std::vector<size_t> turns;  // where each turn begins in tokens, with what separates it from the one before
  };
  // A turn that is not part of the conversation yet.
  struct OpenTurn {
    History before;      // what is gone back to without it
    Sampler sampler;     // before anything was drawn for it
    at::Tensor vectors;  // before any was heard for it
    History base;        // `before` less the turns that had to be forgotten
    size_t samples = 0;
    double while_speaking = 0;
    std::vector<float> speech;                  // all of it, where nothing is done before its end
    std::optional<std::vector<int>> prefilled;  // the codes that were given to the model before the end
    std::vector<int> sound;
    std::optional<Reply> reply;
    size_t answer_begin = 0;
  };

  void require_ear() const;
  std::vector<int> remember(HeardSpeech heard);
  void prefill_steady();
  void check_length(size_t samples) const;
  int64_t room_behind(const std::vector<int64_t>& tokens) const;
  void open_turn();
  void set_prompt(const std::vector<int64_t>& prompt);
  void make_room(History& history, size_t prompt_tokens) const;
  void become(History history);
  Reply reply_to(const UserTurn& turn, const TextSink& sink, const GoOn& go_on, AnswerTiming timing);
  template <typename Step>
  auto or_drop(const Step& step);
  at::Tensor feed(const std::vector<int64_t>& tokens, KeyValueCache& cache);
  Reply generate(std::vector<int64_t>& tokens, KeyValueCache& cache, Sampler& sampler, int64_t max_new_tokens,
                 const TextSink& sink, const GoOn& go_on, AnswerTiming timing);
  std::string transcribe(const std::vector<int>& sound, const GoOn& go_on);

  FusedModel model_;
  ConversationConfig config_;
  ChatPrompt prompt_;
  Sampler sampler_;
  std::optional<SoundVocabulary> sounds_;  // no answer has any of them; none in a text model
  std::unique_ptr<Listener> listener_;     // none in a text model, and where vectors are heard
  std::vector<int64_t> opening_;
  History history_;
  KeyValueCache cache_;  // holds a prefix of history_.tokens
  at::Tensor vectors_;   // what tokens below 0 stand for; no two of a conversation have the same number
  std::optional<OpenTurn> open_;
  std::vector<int> last_sound_;
  std::optional<size_t> last_answer_;  // where it begins in history_.tokens
};

}  // namespace ichigo
