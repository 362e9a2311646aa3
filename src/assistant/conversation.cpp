#include "assistant/conversation.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "base/stopwatch.h"
#include "text/trim.h"

namespace ichigo {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

void ConversationConfig::validate() const {
  sampling.validate();
  require(max_new_tokens > 0, "an answer must be allowed at least 1 token, not ", max_new_tokens);
}

Conversation::Conversation(FusedModel model, ConversationConfig config)
    : model_(std::move(model)),
      config_(std::move(config)),
      prompt_(*model_.tokenizer, recognize_chat_template(model_.chat_template)),
      sampler_({}) {
  config_.validate();
  auto& stops = config_.sampling.stop_tokens;
  stops.insert(stops.end(), model_.stop_tokens.begin(), model_.stop_tokens.end());
  stops.push_back(prompt_.end_of_turn());
  sampler_ = Sampler(config_.sampling);
  if (model_.tokenizer->id_of(sound_token(0)) >= 0) sound_ids_ = SoundVocabulary(*model_.tokenizer).ranges();
}

void Conversation::reset() {
  cache_.truncate(0);
  tokens_.clear();
  last_sound_.clear();
  sampler_ = Sampler(config_.sampling);
}

std::vector<int> Conversation::listen(std::span<const float> samples, AnswerTiming& timing) const {
  require(model_.sound_tokenizer.has_value(),
          "this is a text-only model: it cannot hear speech (its folder has no ichigo.json that names an ear)");
  Stopwatch watch;
  double mel = 0;
  auto sound = model_.sound_tokenizer->encode(samples, &mel);
  timing.mel = mel;
  timing.encode = watch.lap() - mel;
  return sound;
}

Reply Conversation::hear(std::span<const float> samples, const std::string& text, const TextSink& sink) {
  AnswerTiming timing;
  UserTurn turn{text, listen(samples, timing)};
  require(!turn.sound.empty(), "the speech is shorter than one sound token (0.04 s): there is nothing to hear");
  Reply reply = answer(turn, sink, timing);
  last_sound_ = std::move(turn.sound);
  return reply;
}

Reply Conversation::ask(const std::string& text, const TextSink& sink) {
  return answer({text, {}}, sink, {});
}

Reply Conversation::answer(const UserTurn& turn, const TextSink& sink, AnswerTiming timing) {
  const size_t before = tokens_.size();
  const auto add = [&](const std::vector<int64_t>& ids) { tokens_.insert(tokens_.end(), ids.begin(), ids.end()); };
  try {
    if (before == 0) {
      add(prompt_.opening(config_.system_prompt));
    } else {
      add(prompt_.separator());
    }
    add(prompt_.user(turn));
    const size_t prompt_end = tokens_.size();
    Reply reply = generate(tokens_, cache_, sampler_, config_.max_new_tokens, sink, timing);
    tokens_.push_back(prompt_.end_of_turn());
    reply.sound_tokens = static_cast<int64_t>(turn.sound.size());
    reply.prompt_tokens = static_cast<int64_t>(prompt_end - before);
    return reply;
  } catch (...) {
    tokens_.resize(before);
    cache_.truncate(static_cast<int64_t>(before));
    throw;
  }
}

// Feeds what the cache does not hold yet, then appends tokens until one stops the answer (that one is not appended).
Reply Conversation::generate(std::vector<int64_t>& tokens, KeyValueCache& cache, Sampler& sampler,
                             int64_t max_new_tokens, const TextSink& sink, AnswerTiming timing) {
  const at::NoGradGuard no_grad;
  const int64_t room = model_.config.max_position_embeddings - static_cast<int64_t>(tokens.size());
  require(room > 0, "the conversation is too long: ", tokens.size(), " tokens, but the model holds ",
          model_.config.max_position_embeddings, " (a second of speech takes 25)");
  const int64_t limit = std::min(max_new_tokens, room);
  const auto feed = [&] {
    const at::Tensor ids = at::tensor(at::ArrayRef(tokens).slice(static_cast<size_t>(cache.length())), at::kLong);
    return model_.decoder->forward(ids, cache);
  };
  const auto choose = [&](const at::Tensor& hidden) {
    at::Tensor logits = model_.decoder->logits(hidden.slice(0, hidden.size(0) - 1)).view(-1).contiguous();
    for (const auto& [begin, end] : sound_ids_) logits.slice(0, begin, end).fill_(kNever);
    return sampler.sample({logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel())}, tokens);
  };
  Stopwatch watch;
  const at::Tensor hidden = feed();
  timing.prefill = watch.lap();
  int64_t token = choose(hidden);
  timing.first_step = watch.lap();

  Reply reply;
  TextStream text(sink);
  while (!sampler.stops(token)) {
    tokens.push_back(token);
    text.add(model_.tokenizer->token_bytes(token));
    if (++reply.answer_tokens == limit) {
      reply.cut_off = true;
      break;
    }
    token = choose(feed());
  }
  text.finish();
  timing.rest = watch.lap();
  reply.text = text.text();
  reply.timing = timing;
  return reply;
}

std::string Conversation::transcribe(const std::vector<int>& sound) {
  if (sound.empty()) return "";
  std::vector<int64_t> tokens = prompt_.opening("");
  const auto turn = prompt_.user({transcription_prompts().front(), sound});
  tokens.insert(tokens.end(), turn.begin(), turn.end());
  Sampler greedy({.stop_tokens = config_.sampling.stop_tokens});
  KeyValueCache cache;
  // Nobody speaks more than about twelve tokens a second.
  const int64_t most = 16 + static_cast<int64_t>(sound.size()) / 2;
  return std::string(trimmed(generate(tokens, cache, greedy, most, {}, {}).text));
}

std::string Conversation::heard() {
  return transcribe(last_sound_);
}

std::string Conversation::transcribe(std::span<const float> samples) {
  AnswerTiming timing;
  return transcribe(listen(samples, timing));
}

}  // namespace ichigo
