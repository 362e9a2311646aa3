#include "assistant/distillation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "data/corpus.h"
#include "text/trim.h"

namespace ichigo {
namespace {

constexpr const char* kStateLine = "# ichigo distill: %lld attempts with settings %016llx\n";
constexpr double kSaveSeconds = 30;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// What two questions have to share to be the same: their letters.
std::string letters(const std::string& text) {
  std::string kept;
  for (const unsigned char c : text) {
    if (std::isalpha(c) != 0) kept += static_cast<char>(std::tolower(c));
  }
  return kept;
}

uint64_t fingerprint(const DistillConfig& config, const std::string& model) {
  return stable_hash(concat(model, '\n', config.system_prompt, '\n', config.temperature, ' ', config.top_p, ' ',
                            config.seed, ' ', config.max_tokens));
}

struct Table {
  int64_t attempts = 0;
  std::vector<DistilledRow> rows;
  std::set<std::string> questions;

  void add(DistilledRow row) {
    questions.insert(letters(row.question));
    rows.push_back(std::move(row));
  }
};

Table read_table(const std::filesystem::path& path, uint64_t settings) {
  Table table;
  if (!std::filesystem::exists(path)) return table;
  long long attempts = 0;
  unsigned long long made_with = 0;
  require(std::sscanf(read_file(path).c_str(), "# ichigo distill: %lld attempts with settings %llx", &attempts,
                      &made_with) == 2,
          path.string(), " exists and was not made by distill: choose another name");
  require(made_with == settings, path.string(),
          " was made with other settings (model, seed, system prompt, temperature...): use the same ones to go on, or "
          "choose another name");
  table.attempts = attempts;
  const TsvTable tsv = read_tsv(path);
  for (size_t row = 0; row < tsv.size(); ++row) table.add({tsv.at(row, "question"), tsv.at(row, "answer"), ""});
  return table;
}

void write_table(const std::filesystem::path& path, const Table& table, uint64_t settings) {
  char state[96];
  std::snprintf(state, sizeof state, kStateLine, static_cast<long long>(table.attempts),
                static_cast<unsigned long long>(settings));
  std::string text = state;
  text += "question\tanswer\n";
  for (const auto& row : table.rows) text += row.question + '\t' + row.answer + '\n';
  write_file(path, text);
}

}  // namespace

void DistillConfig::validate() const {
  SamplingConfig{.temperature = temperature, .top_p = top_p}.validate();
  require(temperature > 0, "questions must be drawn: the temperature must be above 0, not ", temperature);
  require(max_tokens > 0, "a question must be allowed at least 1 token, not ", max_tokens);
}

Distiller::Distiller(FusedModel model, DistillConfig config)
    : model_(std::move(model)),
      config_(std::move(config)),
      prompt_(*model_.tokenizer, recognize_chat_template(model_.chat_template)),
      opening_(prompt_.opening(config_.system_prompt)),
      stops_(model_.stop_tokens) {
  config_.validate();
  stops_.push_back(prompt_.end_of_turn());
  if (model_.tokenizer->id_of(sound_token(0)) >= 0) sounds_ = SoundVocabulary(*model_.tokenizer).ranges();
}

DistilledRow Distiller::attempt(int64_t number) {
  const auto behind_opening = [&](const std::vector<int64_t>& ids) {
    std::vector<int64_t> prompt = opening_;
    prompt.insert(prompt.end(), ids.begin(), ids.end());
    return prompt;
  };
  Sampler drawing({.temperature = config_.temperature,
                   .top_p = config_.top_p,
                   .seed = Random::keyed(config_.seed, number).next(),
                   .stop_tokens = stops_});
  const SpokenStyle question = line_behind(behind_opening(prompt_.user_header()), drawing);
  if (!question.refused.empty()) return {"", "", "question: " + question.refused};
  Sampler greedy({.stop_tokens = stops_});
  const SpokenStyle answer = line_behind(behind_opening(prompt_.user({question.text, {}})), greedy);
  if (!answer.refused.empty()) return {"", "", "answer: " + answer.refused};
  return {question.text, answer.text, ""};
}

SpokenStyle Distiller::line_behind(const std::vector<int64_t>& prompt, Sampler& sampler) {
  const at::NoGradGuard no_grad;
  const auto same = std::ranges::mismatch(prompt, cached_).in1 - prompt.begin();
  cache_.truncate(std::min<int64_t>(std::ssize(prompt) - 1, same));  // the last one gives the first logits
  cached_ = prompt;
  std::string text;
  for (int64_t made = 0; made < config_.max_tokens; ++made) {
    const auto known = static_cast<size_t>(cache_.length());
    const at::Tensor hidden =
        model_.decoder->forward(at::tensor(at::ArrayRef(cached_).slice(known), at::kLong), cache_);
    const at::Tensor logits = model_.decoder->logits(hidden.slice(0, hidden.size(0) - 1)).view(-1).contiguous();
    for (const auto& [begin, end] : sounds_) logits.slice(0, begin, end).fill_(kNever);
    const int64_t token =
        sampler.sample({logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel())}, cached_);
    if (sampler.stops(token)) return config_.style(text);
    text += model_.tokenizer->token_bytes(token);
    if (trimmed(text + '.').find('\n') != std::string::npos) return {"", "list or code"};  // a second line begins
    cached_.push_back(token);
  }
  return {"", "too long"};
}

DistillResult distill(Distiller& distiller, const std::filesystem::path& output, const DistillOptions& options) {
  const uint64_t settings = fingerprint(distiller.config(), options.model);
  Table table = read_table(output, settings);
  DistillResult result;
  Progress progress("distilling", options.attempts, "attempts", table.attempts);
  Stopwatch watch;
  double saved = 0;
  while (table.attempts < options.attempts && !interrupted()) {
    DistilledRow row = distiller.attempt(table.attempts);
    if (row.refused.empty() && table.questions.contains(letters(row.question))) row.refused = "question: asked before";
    ++table.attempts;
    ++result.attempts_now;
    if (row.refused.empty()) {
      table.add(std::move(row));
      ++result.rows_now;
    } else {
      ++result.refused[row.refused];
    }
    result.seconds += watch.lap() / 1000;
    if (result.seconds - saved > kSaveSeconds) {
      write_table(output, table, settings);
      saved = result.seconds;
    }
    progress.update(table.attempts, concat("rows: ", table.rows.size()));
    if (options.seconds > 0 && result.seconds > options.seconds) break;
  }
  write_table(output, table, settings);
  result.attempts = table.attempts;
  result.rows = std::ssize(table.rows);
  return result;
}

}  // namespace ichigo
