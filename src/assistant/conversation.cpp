#include "assistant/conversation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "audio/audio_file.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "text/trim.h"

namespace ichigo {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr size_t kSamplesOfACode = kSampleRate / 25;
// While speech goes on, nothing is prefilled once hearing it took this share of its time.
constexpr double kBusyShare = 0.5;

void append(std::vector<int64_t>& to, const std::vector<int64_t>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

UserTurn spoken(const std::string& text, std::vector<int> sound) {
  require(!sound.empty(), "the speech is shorter than one sound token (0.04 s): there is nothing to hear");
  return {text, std::move(sound)};
}

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
  if (model_.sound_tokenizer || model_.tokenizer->id_of(sound_token(0)) >= 0) sounds_.emplace(*model_.tokenizer);
  if (model_.sound_tokenizer && !model_.adapter) listener_ = make_listener(*model_.sound_tokenizer);
  opening_ = prompt_.opening(config_.system_prompt);
}

// Whatever goes wrong in a step takes the whole open turn back.
template <typename Step>
auto Conversation::or_drop(const Step& step) {
  try {
    return step();
  } catch (...) {
    drop_speech();
    throw;
  }
}

void Conversation::reset() {
  drop_speech();
  history_ = {};
  cache_.truncate(0);
  vectors_.reset();
  last_sound_.clear();
  last_answer_.reset();
  sampler_ = Sampler(config_.sampling);
}

void Conversation::require_ear() const {
  require(model_.sound_tokenizer.has_value(),
          "this is a text-only model: it cannot hear speech (its folder has no ichigo.json that names an ear)");
}

// Gives vectors numbers of their own, so that the cache never takes one for another.
std::vector<int> Conversation::remember(HeardSpeech heard) {
  if (!heard.vectors.defined()) return std::move(heard.sound);
  const auto before = vectors_.defined() ? static_cast<int>(vectors_.size(0)) : 0;
  for (int& number : heard.sound) number -= before;
  vectors_ = before > 0 ? at::cat({vectors_, heard.vectors}) : heard.vectors;
  return std::move(heard.sound);
}

// Tells before any work what cannot be answered after it.
void Conversation::check_length(size_t samples) const {
  const int64_t needed = sounds_->fewest_ids(static_cast<int64_t>(samples / kSamplesOfACode));
  require(needed < model_.config.max_position_embeddings, "the speech is too long: ", samples / kSampleRate,
          " s are at least ", needed, " tokens, but the model holds ", model_.config.max_position_embeddings);
}

int64_t Conversation::room_behind(const std::vector<int64_t>& tokens) const {
  const int64_t room = model_.config.max_position_embeddings - static_cast<int64_t>(tokens.size());
  require(room > 0, "the conversation is too long: ", tokens.size(), " tokens, but the model holds ",
          model_.config.max_position_embeddings, " (a second of speech takes 25)");
  return room;
}

Reply Conversation::hear(std::span<const float> samples, const std::string& text, const TextSink& sink) {
  require_ear();
  check_length(samples.size());
  open_turn();
  return or_drop([&] {
    AnswerTiming timing;
    Stopwatch watch;
    const UserTurn turn = spoken(text, remember(model_.hear(samples, &timing.mel)));
    timing.encode = watch.lap() - timing.mel;
    Reply reply = reply_to(turn, sink, {}, timing);
    accept_reply();
    return reply;
  });
}

Reply Conversation::ask(const std::string& text, const TextSink& sink) {
  open_turn();
  return or_drop([&] {
    Reply reply = reply_to({text, {}}, sink, {}, {});
    accept_reply();
    return reply;
  });
}

void Conversation::hear(std::span<const float> samples) {
  require_ear();
  if (!open_) open_turn();
  or_drop([&] {
    Stopwatch watch;
    open_->samples += samples.size();
    check_length(open_->samples);
    if (open_->reply) {
      open_->reply.reset();
      sampler_ = open_->sampler;
    }
    if (listener_) {
      listener_->hear(samples);
      prefill_steady();
    } else {
      open_->speech.insert(open_->speech.end(), samples.begin(), samples.end());
    }
    open_->while_speaking += watch.lap();
  });
}

void Conversation::prefill_steady() {
  const auto steady = std::span(listener_->codes()).first(listener_->steady());
  const bool in_time = open_->while_speaking < kBusyShare * 1000 * static_cast<double>(open_->samples) / kSampleRate;
  if (!in_time || (open_->prefilled && std::ranges::mismatch(steady, *open_->prefilled).in1 == steady.end())) return;
  set_prompt(prompt_.unfinished_user(steady));
  feed(history_.tokens, cache_);
  open_->prefilled.emplace(steady.begin(), steady.end());
}

Reply Conversation::reply_so_far(const TextSink& sink, const GoOn& go_on) {
  require(open_.has_value(), "there is no speech to answer: nothing was heard since the last answer");
  if (open_->reply) {
    if (sink) sink(open_->reply->text);
    return *open_->reply;
  }
  return or_drop([&] {
    AnswerTiming timing{.while_speaking = open_->while_speaking};
    Stopwatch watch;
    const UserTurn turn = spoken(
        "", listener_ ? listener_->codes_if_ended(&timing.mel) : remember(model_.hear(open_->speech, &timing.mel)));
    timing.encode = watch.lap() - timing.mel;
    return reply_to(turn, sink, go_on, timing);
  });
}

Reply Conversation::end_of_speech(const TextSink& sink, const GoOn& go_on) {
  Reply reply = reply_so_far(sink, go_on);
  accept_reply();
  return reply;
}

void Conversation::accept_reply() {
  require(open_ && open_->reply, "there is no reply to accept: what was heard last is not answered yet");
  if (!open_->sound.empty()) last_sound_ = std::move(open_->sound);
  last_answer_ = open_->answer_begin;
  open_.reset();
  if (listener_) listener_->reset();
}

void Conversation::drop_speech() {
  if (!open_) return;
  become(std::move(open_->before));
  sampler_ = open_->sampler;
  vectors_ = open_->vectors;
  open_.reset();
  if (listener_) listener_->reset();
}

void Conversation::keep_of_last_answer(size_t bytes) {
  require(!open_, "an answer cannot be shortened while speech goes on");
  if (!last_answer_) return;
  History kept = history_;
  size_t end = *last_answer_, text = 0;
  for (; end + 1 < kept.tokens.size(); ++end) {
    text += model_.tokenizer->token_bytes(kept.tokens[end]).size();
    if (text > bytes) break;
  }
  if (end + 1 >= kept.tokens.size()) return;
  if (end == *last_answer_) {
    kept.tokens.resize(kept.turns.back());
    kept.turns.pop_back();
    last_answer_.reset();
  } else {
    kept.tokens.resize(end);
    kept.tokens.push_back(prompt_.end_of_turn());
  }
  become(std::move(kept));
}

void Conversation::open_turn() {
  require(!open_, "speech goes on: end it or drop it before the next turn");
  open_ = OpenTurn{.before = history_, .sampler = sampler_, .vectors = vectors_, .base = history_};
}

// Forgets the oldest turns where a prompt of so many tokens and its answer do not fit. It then makes more room than
// that, because what is left has to be prefilled again; how much does not depend on how the prompt grew to its length.
void Conversation::make_room(History& history, size_t prompt_tokens) const {
  const auto context = static_cast<size_t>(model_.config.max_position_embeddings);
  const size_t needed = prompt_tokens + std::min(static_cast<size_t>(config_.max_new_tokens), context / 4);
  if (history.tokens.size() + needed <= context) return;
  auto& [tokens, turns] = history;
  while (!turns.empty() && (tokens.size() > context / 2 || tokens.size() + needed > context)) {
    const size_t begin = turns.front();
    const size_t end = turns.size() > 1 ? turns[1] + prompt_.separator().size() : tokens.size();
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                 tokens.begin() + static_cast<std::ptrdiff_t>(end));
    turns.erase(turns.begin());
    for (size_t& turn : turns) turn -= end - begin;
    if (!turns.empty()) turns.front() = begin;
  }
}

// The open turn becomes this prompt: what the cache holds of it already stays there.
void Conversation::set_prompt(const std::vector<int64_t>& prompt) {
  make_room(open_->base, prompt.size());
  History next = open_->base;
  if (next.tokens.empty()) next.tokens = opening_;
  next.turns.push_back(next.tokens.size());
  if (next.turns.size() > 1) append(next.tokens, prompt_.separator());
  append(next.tokens, prompt);
  room_behind(next.tokens);
  become(std::move(next));
}

void Conversation::become(History history) {
  const auto same = std::ranges::mismatch(history.tokens, history_.tokens).in1 - history.tokens.begin();
  // The last one is always fed again: its state is what the next token comes from.
  cache_.truncate(std::clamp<int64_t>(std::ssize(history.tokens) - 1, 0, same));
  history_ = std::move(history);
}

Reply Conversation::reply_to(const UserTurn& turn, const TextSink& sink, const GoOn& go_on, AnswerTiming timing) {
  set_prompt(prompt_.user(turn));
  open_->prefilled.reset();
  open_->answer_begin = history_.tokens.size();
  Reply reply = generate(history_.tokens, cache_, sampler_, config_.max_new_tokens, sink, go_on, timing);
  history_.tokens.push_back(prompt_.end_of_turn());
  reply.sound_tokens = static_cast<int64_t>(turn.sound.size());
  reply.prompt_tokens = static_cast<int64_t>(open_->answer_begin - open_->base.tokens.size());
  reply.dropped_turns = std::ssize(open_->before.turns) - std::ssize(open_->base.turns);
  open_->sound = turn.sound;
  open_->reply = reply;
  return reply;
}

// Everything that the cache does not hold yet -> the hidden states of that.
at::Tensor Conversation::feed(const std::vector<int64_t>& tokens, KeyValueCache& cache) {
  const auto known = static_cast<size_t>(cache.length());
  return model_.decoder->forward(at::tensor(at::ArrayRef(tokens).slice(known), at::kLong), cache, vectors_);
}

// Feeds the prompt, then appends tokens until one stops the answer (that one is not appended).
Reply Conversation::generate(std::vector<int64_t>& tokens, KeyValueCache& cache, Sampler& sampler,
                             int64_t max_new_tokens, const TextSink& sink, const GoOn& go_on, AnswerTiming timing) {
  const at::NoGradGuard no_grad;
  const int64_t limit = std::min(max_new_tokens, room_behind(tokens));
  const auto choose = [&](const at::Tensor& hidden) {
    at::Tensor logits = model_.decoder->logits(hidden.slice(0, hidden.size(0) - 1)).view(-1).contiguous();
    if (sounds_) {
      for (const auto& [begin, end] : sounds_->ranges()) logits.slice(0, begin, end).fill_(kNever);
    }
    return sampler.sample({logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel())}, tokens);
  };
  Stopwatch watch;
  const at::Tensor hidden = feed(tokens, cache);
  timing.prefill = watch.lap();
  int64_t token = choose(hidden);
  timing.first_step = watch.lap();

  Reply reply;
  TextStream text(sink);
  while (!sampler.stops(token)) {
    if (go_on && !go_on()) {
      reply.interrupted = true;
      break;
    }
    tokens.push_back(token);
    text.add(model_.tokenizer->token_bytes(token));
    if (++reply.answer_tokens == limit) {
      reply.cut_off = true;
      break;
    }
    token = choose(feed(tokens, cache));
  }
  text.finish();
  timing.rest = watch.lap();
  reply.text = text.text();
  reply.timing = timing;
  return reply;
}

std::string Conversation::transcribe(const std::vector<int>& sound, const GoOn& go_on) {
  if (sound.empty()) return "";
  std::vector<int64_t> tokens = prompt_.opening("");
  append(tokens, prompt_.user({transcription_prompts().front(), sound}));
  Sampler greedy({.stop_tokens = config_.sampling.stop_tokens});
  KeyValueCache cache;
  // Nobody speaks more than about twelve tokens a second.
  const int64_t most = 16 + static_cast<int64_t>(sound.size()) / 2;
  return std::string(trimmed(generate(tokens, cache, greedy, most, {}, go_on, {}).text));
}

std::string Conversation::heard() {
  return heard({});
}

std::string Conversation::heard(const GoOn& go_on) {
  return transcribe(last_sound_, go_on);
}

std::string Conversation::transcribe(std::span<const float> samples) {
  require_ear();
  const at::Tensor before = vectors_;
  std::string text = transcribe(remember(model_.hear(samples)), {});
  vectors_ = before;  // a cache of its own has held the others
  return text;
}

}  // namespace ichigo
