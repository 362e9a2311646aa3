#include "evaluation/text_scorer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace ichigo {

std::vector<int64_t> TextScorer::context_ids(const std::string& context) const {
  auto ids = model_.tokenizer->encode(context);
  if (!ids.empty()) return ids;
  // Nothing is predicted from nothing: a BOS token, or what ends texts where the vocabulary has none.
  ids = model_.tokenizer->encode("", true);
  require(!ids.empty() || !model_.stop_tokens.empty(), "an empty prompt cannot be read by this model");
  return ids.empty() ? std::vector<int64_t>{model_.stop_tokens[0]} : ids;
}

at::Tensor TextScorer::feed(const std::vector<int64_t>& ids) {
  const at::Tensor hidden = model_.decoder->forward(at::tensor(ids, at::kLong), cache_);
  held_.insert(held_.end(), ids.begin(), ids.end());
  return hidden;
}

const at::Tensor& TextScorer::read(const std::vector<int64_t>& ids) {
  if (ids == held_ && next_.defined()) return next_;
  // The last token is always read, since its hidden state is asked for.
  const auto same = static_cast<size_t>(std::ranges::mismatch(ids, held_).in1 - ids.begin());
  const size_t kept = std::min(same, ids.size() - 1);
  cache_.truncate(static_cast<int64_t>(kept));
  held_.resize(kept);
  const at::Tensor hidden = feed({ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end()});
  next_ = at::log_softmax(model_.decoder->logits(hidden[-1]), -1);
  return next_;
}

Likelihood TextScorer::continuation(std::vector<int64_t> context, const std::vector<int64_t>& continuation) {
  const at::NoGradGuard no_grad;
  const auto positions = static_cast<size_t>(model_.config.max_position_embeddings);
  require(!continuation.empty(), "a continuation without tokens has no likelihood");
  require(continuation.size() <= positions, "a continuation of ", continuation.size(),
          " tokens is longer than the model reads (", positions, ")");
  const size_t room = positions + 1 - continuation.size();  // the last token is not read
  if (context.size() > room) context.erase(context.begin(), context.end() - static_cast<std::ptrdiff_t>(room));

  Likelihood result{.greedy = true};
  const auto count = [&](const at::Tensor& predicted, int64_t id) {
    result.log_likelihood += predicted[id].item<double>();
    result.greedy = result.greedy && predicted.argmax().item<int64_t>() == id;
  };
  count(read(context), continuation[0]);
  if (continuation.size() == 1) return result;
  const at::Tensor hidden = feed({continuation.begin(), continuation.end() - 1});
  const at::Tensor predicted = at::log_softmax(model_.decoder->logits(hidden), -1);
  for (size_t i = 1; i < continuation.size(); ++i) count(predicted[static_cast<int64_t>(i) - 1], continuation[i]);
  // Back to the context, behind which the next continuation is likely to stand.
  cache_.truncate(static_cast<int64_t>(context.size()));
  held_.resize(context.size());
  return result;
}

std::vector<Likelihood> TextScorer::continuations(const std::string& context,
                                                  const std::vector<std::string>& continuations) {
  // White space at the end of the context belongs to the continuation, as vocabularies have it before words.
  const size_t end = context.find_last_not_of(" \t\n\v\f\r") + 1;
  const std::string before = context.substr(0, end), spaces = context.substr(end);
  const auto ids = context_ids(before);
  const size_t skipped = before.empty() ? 0 : ids.size();
  std::vector<Likelihood> results;
  for (const auto& text : continuations) {
    const auto whole = model_.tokenizer->encode(before + spaces + text);
    require(whole.size() > skipped, "\"", text, "\" has no tokens of its own behind its prompt");
    results.push_back(continuation(ids, {whole.begin() + static_cast<std::ptrdiff_t>(skipped), whole.end()}));
  }
  return results;
}

std::string TextScorer::generate(const std::string& context, const std::vector<std::string>& until,
                                 int64_t max_tokens) {
  const at::NoGradGuard no_grad;
  const int64_t positions = model_.config.max_position_embeddings;
  require(max_tokens > 0 && max_tokens < positions, "an answer of up to ", max_tokens,
          " tokens does not fit into the model's ", positions, " positions");
  auto ids = context_ids(context);
  const auto room = static_cast<size_t>(positions - max_tokens);
  if (ids.size() > room) ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(room));
  const auto first_stop = [&](const std::string& text) {
    size_t at = std::string::npos;
    for (const auto& stop : until) at = std::min(at, text.find(stop));
    return at;
  };
  std::vector<int64_t> answer;
  while (static_cast<int64_t>(answer.size()) < max_tokens) {
    const auto id = read(ids).argmax().item<int64_t>();
    if (std::ranges::find(model_.stop_tokens, id) != model_.stop_tokens.end()) break;
    ids.push_back(id);
    answer.push_back(id);
    if (first_stop(model_.tokenizer->decode(answer, false)) != std::string::npos) break;
  }
  // Bytes that are no UTF-8 (a character cut by the end, say) become U+FFFD: filters read code points.
  const std::string text = encode_utf8(decode_utf8(model_.tokenizer->decode(answer, true)));
  return text.substr(0, first_stop(text));
}

}  // namespace ichigo
