// Not here: beam search; falling back to higher temperatures and longer audio (assistant/transcription).
#include "models/whisper_decoding.h"

#include <ATen/ATen.h>

#include <bit>
#include <span>

#include "base/error.h"
#include "base/random.h"
#include "text/trim.h"

namespace ichigo {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr int64_t kMaxInitialTimestamp = 50;  // in steps of 0.02 s: 1 second

double log_sum_exp(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  if (most == kNever) return kNever;
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return most + std::log(sum);
}

void forbid(std::span<float> logits, int64_t begin, int64_t end) {
  if (begin < end) std::fill(logits.begin() + begin, logits.begin() + end, kNever);
}

// Timestamps come in pairs, never fall, start within the first second, and win when together they are likelier than
// any single piece of text.
void apply_timestamp_rules(std::span<float> logits, const std::vector<int64_t>& tokens,
                           const WhisperVocabulary& vocabulary) {
  const int64_t begin = vocabulary.timestamp_begin(), end = static_cast<int64_t>(logits.size());
  logits[static_cast<size_t>(vocabulary.no_timestamps())] = kNever;
  const bool last_is_timestamp = !tokens.empty() && tokens.back() >= begin;
  const bool before_is_timestamp = tokens.size() < 2 || tokens[tokens.size() - 2] >= begin;
  if (last_is_timestamp) {
    if (before_is_timestamp) {
      forbid(logits, begin, end);
    } else {
      forbid(logits, 0, vocabulary.eot());
    }
  }
  const auto latest = std::find_if(tokens.rbegin(), tokens.rend(), [&](int64_t token) { return token >= begin; });
  if (latest != tokens.rend()) {
    forbid(logits, begin, std::min(end, last_is_timestamp && !before_is_timestamp ? *latest : *latest + 1));
  }
  if (tokens.empty()) {
    forbid(logits, 0, begin);
    forbid(logits, begin + kMaxInitialTimestamp + 1, end);
  }
  const std::span<const float> text = logits.first(static_cast<size_t>(begin));
  const double likeliest_text = *std::max_element(text.begin(), text.end());
  if (log_sum_exp(logits.subspan(static_cast<size_t>(begin))) > likeliest_text) forbid(logits, 0, begin);
}

// The likeliest language id after <|startoftranscript|>.
int64_t detect_language(const Whisper& model, const WhisperVocabulary& vocabulary, const at::Tensor& features) {
  const at::Tensor start = at::full({1, 1}, vocabulary.sot(), at::kLong);
  const at::Tensor logits = model.decoder->forward(start, features).view(-1);
  return vocabulary.language_begin() +
         logits.narrow(0, vocabulary.language_begin(), vocabulary.languages()).argmax().item<int64_t>();
}

// One token's id, by its probability at this temperature.
int64_t draw(std::span<const float> logits, double temperature, Random& random) {
  const double most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> sums(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) sums[i] = sum += std::exp((logits[i] - most) / temperature);
  const auto drawn = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sum);
  return std::min<int64_t>(drawn - sums.begin(), static_cast<int64_t>(sums.size()) - 1);
}

// What the decoder is given before it writes: the previous text, then the start sequence, whose position is `start`.
std::vector<int64_t> initial_tokens(const Whisper& model, const WhisperVocabulary& vocabulary,
                                    const std::string& language, const std::vector<int64_t>& prompt,
                                    const WhisperDecodingOptions& options, size_t& start) {
  std::vector<int64_t> tokens;
  if (!prompt.empty()) {
    const auto kept = std::clamp<int64_t>(model.config.n_text_ctx / 2 - 1, 0, static_cast<int64_t>(prompt.size()));
    tokens.push_back(vocabulary.sot_prev());
    tokens.insert(tokens.end(), prompt.end() - kept, prompt.end());
  }
  start = tokens.size();
  const auto sequence = vocabulary.sot_sequence(language, options.task, options.timestamps);
  tokens.insert(tokens.end(), sequence.begin(), sequence.end());
  return tokens;
}

}  // namespace

WhisperDecodingResult whisper_decode(const Whisper& model, const WhisperVocabulary& vocabulary,
                                     const at::Tensor& features, const WhisperDecodingOptions& options) {
  std::vector<int64_t> prompt;
  if (!options.prompt.empty()) prompt = vocabulary.encode(" " + std::string(trimmed(options.prompt)));
  WhisperDecodingResult result = whisper_decode_tokens(model, vocabulary, features, options, prompt);
  result.text = trimmed(vocabulary.decode(result.tokens));
  return result;
}

WhisperDecodingResult whisper_decode_tokens(const Whisper& model, const WhisperVocabulary& vocabulary,
                                            const at::Tensor& features, const WhisperDecodingOptions& options,
                                            const std::vector<int64_t>& prompt) {
  const at::NoGradGuard no_grad;
  require(model.decoder != nullptr, "this Whisper file has no decoder: it can encode, but not write text");
  require(model.config.n_vocab == vocabulary.size(), "Whisper's decoder has ", model.config.n_vocab,
          " tokens, its vocabulary ", vocabulary.size());
  require(features.dim() == 3 && features.size(0) == 1, "whisper_decode: features have shape ", features.sizes(),
          ", expected [1, frames, state]");
  WhisperDecodingResult result;
  result.language = options.language;
  if (!vocabulary.multilingual()) {
    result.language = "en";
  } else if (result.language.empty()) {
    result.language = vocabulary.language_of(detect_language(model, vocabulary, features));
  }

  size_t start = 0;
  std::vector<int64_t> given = initial_tokens(model, vocabulary, result.language, prompt, options, start);
  const std::vector<int64_t> suppressed = vocabulary.suppressed();
  WhisperCache cache;
  double total_logprob = 0;
  Random random = Random::keyed(options.seed, std::bit_cast<uint64_t>(options.temperature));
  while (static_cast<int64_t>(result.tokens.size()) < options.sample_length) {
    const at::Tensor input = at::tensor(given).unsqueeze(0);
    const at::Tensor hidden = model.decoder->hidden(input, features, &cache)[0];
    if (result.tokens.empty()) {
      const at::Tensor at_start = model.decoder->logits(hidden[static_cast<int64_t>(start)]);
      result.no_speech_probability = at_start.softmax(-1)[vocabulary.no_speech()].item<double>();
    }
    const at::Tensor row = model.decoder->logits(hidden[-1]).contiguous();
    const std::span<float> logits(row.mutable_data_ptr<float>(), static_cast<size_t>(row.numel()));
    if (result.tokens.empty()) {
      for (const int64_t id : vocabulary.suppressed_at_begin()) logits[static_cast<size_t>(id)] = kNever;
    }
    for (const int64_t id : suppressed) logits[static_cast<size_t>(id)] = kNever;
    if (options.timestamps) apply_timestamp_rules(logits, result.tokens, vocabulary);

    const int64_t token = options.temperature > 0 ? draw(logits, options.temperature, random)
                                                  : std::max_element(logits.begin(), logits.end()) - logits.begin();
    total_logprob += logits[static_cast<size_t>(token)] - log_sum_exp(logits);
    if (token == vocabulary.eot()) break;
    result.tokens.push_back(token);
    given = {token};
    if (cache.length >= model.config.n_text_ctx) break;
  }
  result.average_logprob = total_logprob / static_cast<double>(result.tokens.size() + 1);
  return result;
}

}  // namespace ichigo
