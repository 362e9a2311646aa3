#include "data/mixture.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

bool usable(const SpeechRow& row, Task task) {
  switch (task) {
    case Task::kAnswer:
      return !row.sound.empty() && !row.answer.empty();
    case Task::kText:
      return !row.text.empty() && !row.answer.empty();
    case Task::kPretrain:
      return !row.sound.empty();
    case Task::kTranscription:
      return !row.sound.empty() && !row.text.empty();
    case Task::kRunningText:
      break;
  }
  return false;
}

uint64_t hash_of(const SpeechTurn& turn) {
  return stable_hash(concat(turn.text, "\n", turn.answer, "\n", turn.prompt)) * 31 +
         stable_hash({reinterpret_cast<const char*>(turn.sound.data()), turn.sound.size() * sizeof(turn.sound[0])});
}

uint64_t hash_of(const SpeechRow& row) {
  uint64_t hash = hash_of(static_cast<const SpeechTurn&>(row));
  for (const SpeechTurn& turn : row.earlier) hash = hash * 31 + hash_of(turn);
  return hash;
}

void append(TrainingSample& sample, const std::vector<int64_t>& ids, TokenUse use) {
  sample.ids.insert(sample.ids.end(), ids.begin(), ids.end());
  sample.use.insert(sample.use.end(), ids.size(), use);
}

// The assistant's words and the end of its turn.
void append_answer(TrainingSample& sample, const std::vector<int64_t>& ids) {
  append(sample, ids, TokenUse::kWritten);
  sample.use.back() = TokenUse::kPredicted;
}

int64_t count_of(const at::Tensor& features) {
  return features.defined() ? features.size(0) : 0;
}

void append(at::Tensor& features, const at::Tensor& more) {
  features = features.defined() ? at::cat({features, more}) : more;
}

}  // namespace

Task parse_task(const std::string& name) {
  if (name == "pretrain") return Task::kPretrain;
  if (name == "answer") return Task::kAnswer;
  if (name == "transcription") return Task::kTranscription;
  if (name == "text") return Task::kText;
  if (name == "running_text") return Task::kRunningText;
  fail("unknown task \"", name, "\": use pretrain, answer, transcription, text or running_text");
}

LossMask parse_loss_mask(const std::string& name) {
  if (name == "answer") return LossMask::kAnswer;
  if (name == "all") return LossMask::kAll;
  fail("unknown loss mask \"", name, "\": use answer or all");
}

Mixture::Mixture(const std::vector<MixtureSource>& sources, const ChatPrompt& prompt, const SoundVocabulary& sounds,
                 LossMask mask, int64_t longest_sample, uint64_t seed, int64_t feature_width)
    : prompt_(prompt),
      sounds_(sounds),
      mask_(mask),
      longest_sample_(longest_sample),
      feature_width_(feature_width),
      seed_(seed),
      random_(Random::keyed(seed, stable_hash("mixture"))) {
  require(!sources.empty(), "the mixture has no sources: name at least one token file");
  TokenFiles files;
  for (const auto& config : sources) {
    require(config.replaced >= 0 && config.replaced < 1, config.rows.string(),
            ": the share of replaced tokens must be in [0, 1), not ", config.replaced);
    require(config.share > 0, config.rows.string(), ": its share of the mixture must be positive, not ", config.share);
    Source source{.config = config};
    if (config.task == Task::kRunningText) {
      cut_running_text(source);
    } else {
      choose_rows(source, files);
    }
    shuffle(source, 0);
    sources_.push_back(std::move(source));
  }
}

// Those that have what the source's task needs.
void Mixture::choose_rows(Source& source, TokenFiles& files) const {
  const MixtureSource& config = source.config;
  if (!files.contains(config.rows)) files.emplace(config.rows, read_token_file(config.rows));
  auto& rows = files.at(config.rows);
  if (feature_width_ > 0 && config.task != Task::kText) {
    require(mask_ == LossMask::kAnswer && config.task != Task::kPretrain, config.rows.string(),
            ": speech that is heard as vectors cannot be predicted: use the loss \"answer\" and no task \"pretrain\"");
    read_row_features(config.rows, feature_width_, rows);
  }
  std::ranges::copy_if(rows, std::back_inserter(source.rows),
                       [&](const SpeechRow& row) { return usable(row, config.task); });
  require(!source.rows.empty(), config.rows.string(),
          ": none of its rows has what its task needs (text, answer, sound)");
  for (const SpeechRow& row : source.rows) source.hash = source.hash * 0x100000001B3ULL + hash_of(row);
}

// Pieces as long as a sample may be, one behind another.
void Mixture::cut_running_text(Source& source) const {
  const std::string text = read_file(source.config.rows), place = source.config.rows.string();
  require(source.config.rows.extension() != ".jsonl", place,
          " is a token file: the task running_text reads plain text");
  require(valid_utf8_prefix(text) == text.size(), place, ": not UTF-8 at byte ", valid_utf8_prefix(text),
          ": running text must be plain text");
  const auto ids = prompt_.running_text(text);
  for (size_t begin = 0; begin + 1 < ids.size(); begin += longest_sample_) {
    const size_t end = std::min(ids.size(), begin + static_cast<size_t>(longest_sample_));
    source.pieces.emplace_back(ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(end));
  }
  require(!source.pieces.empty(), place, " has no text to learn from");
  source.hash = stable_hash(text);
}

void Mixture::shuffle(Source& source, int64_t epoch) {
  source.epoch = epoch;
  source.position = 0;
  source.order.resize(source.size());
  std::iota(source.order.begin(), source.order.end(), 0U);
  Random::keyed(seed_, stable_hash(source.config.rows.string()), static_cast<uint64_t>(source.config.task), epoch)
      .shuffle(source.order);
}

TokenUse Mixture::use_of_prompt() const {
  return mask_ == LossMask::kAll ? TokenUse::kPredicted : TokenUse::kRead;
}

void Mixture::append_turn(TrainingSample& sample, const SpeechTurn& turn, Task task) {
  UserTurn user{turn.prompt, turn.sound};
  if (task == Task::kTranscription) {
    const auto& prompts = transcription_prompts();
    user.text = prompts[random_.below(prompts.size())];
  } else if (turn.sound.empty() || (task == Task::kText && !turn.text.empty())) {
    user = {turn.text, {}};
  }
  if (feature_width_ > 0 && !user.sound.empty()) {
    require(turn.features.defined(),
            "a typed dialogue has speech whose words and features are not known: leave it out");
    const int64_t before = count_of(sample.features);
    for (size_t i = 0; i < user.sound.size(); ++i) {
      user.sound[i] = static_cast<int>(vector_id(before + static_cast<int64_t>(i)));
    }
    append(sample.features, turn.features);
  }
  const auto begin = static_cast<int64_t>(sample.ids.size());
  append(sample, prompt_.user(user), use_of_prompt());
  if (!user.sound.empty() && !turn.text.empty()) {
    const auto start = std::find(sample.ids.begin() + begin, sample.ids.end(), sounds_.start());
    sample.spoken.push_back({start + 1 - sample.ids.begin(), static_cast<int64_t>(sample.ids.size()), turn.text});
  }
  append_answer(sample, prompt_.answer(task == Task::kTranscription ? turn.text : turn.answer));
}

TrainingSample Mixture::make_sample(const SpeechRow& row, Task task) {
  TrainingSample sample;
  if (task == Task::kPretrain) {
    append(sample, sounds_.ids(row.sound), TokenUse::kPredicted);
    append_answer(sample, prompt_.answer(row.text));
  } else {
    append(sample, prompt_.opening(""), TokenUse::kRead);
    if (task != Task::kTranscription) {
      for (const auto& turn : row.earlier) {
        append_turn(sample, turn, task);
        append(sample, prompt_.separator(), use_of_prompt());
      }
    }
    append_turn(sample, row, task);
  }
  sample.use[0] = TokenUse::kRead;
  return sample;
}

TrainingSample Mixture::next_sample() {
  double total = 0;
  for (const auto& source : sources_) total += source.config.share;
  double drawn = random_.uniform() * total;
  size_t chosen = 0;
  while (chosen + 1 < sources_.size() && drawn >= sources_[chosen].config.share)
    drawn -= sources_[chosen++].config.share;
  Source& source = sources_[chosen];
  if (source.position == static_cast<int64_t>(source.order.size())) shuffle(source, source.epoch + 1);
  const size_t next = source.order[source.position++];
  TrainingSample sample;
  if (source.config.task == Task::kRunningText) {
    append(sample, source.pieces[next], TokenUse::kWritten);
    sample.use[0] = TokenUse::kRead;
  } else {
    sample = make_sample(source.rows[next], source.config.task);
  }
  sample.replaced = source.config.replaced;
  return sample;
}

std::vector<std::vector<int64_t>> Mixture::inputs_of(const std::vector<TrainingSample>& samples) {
  const auto visit_text = [](const TrainingSample& sample, const auto& visit) {
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      if (sample.use[i] == TokenUse::kWritten) visit(i);
    }
  };
  std::vector<int64_t> pool;
  for (const auto& sample : samples) visit_text(sample, [&](size_t i) { pool.push_back(sample.ids[i]); });
  std::vector<std::vector<int64_t>> inputs;
  for (const auto& sample : samples) {
    inputs.push_back(sample.ids);
    if (sample.replaced == 0) continue;
    visit_text(sample, [&](size_t i) {
      if (random_.uniform() < sample.replaced) inputs.back()[i] = pool[random_.below(pool.size())];
    });
  }
  return inputs;
}

std::vector<PackedBatch> Mixture::next_step(int64_t tokens, int64_t batch_tokens) {
  std::vector<TrainingSample> samples;
  int64_t drawn = 0;
  int64_t passed_over = 0;
  while (drawn < tokens) {
    TrainingSample sample = next_sample();
    const auto length = static_cast<int64_t>(sample.ids.size());
    if (length > longest_sample_) {
      ++skipped_;
      require(++passed_over < 10000, "nearly every sample is longer than longest_sample = ", longest_sample_,
              " tokens: raise it");
      continue;
    }
    drawn += length;
    samples.push_back(std::move(sample));
  }
  std::stable_sort(samples.begin(), samples.end(),
                   [](const auto& a, const auto& b) { return a.ids.size() < b.ids.size(); });
  const auto inputs = inputs_of(samples);
  std::vector<PackedBatch> batches;
  for (size_t s = 0; s < samples.size(); ++s) {
    const TrainingSample& sample = samples[s];
    const auto length = static_cast<int64_t>(sample.ids.size());
    if (batches.empty() || static_cast<int64_t>(batches.back().ids.size()) + length > batch_tokens)
      batches.emplace_back();
    PackedBatch& batch = batches.back();
    const auto start = static_cast<int64_t>(batch.ids.size());
    const int64_t vectors = count_of(batch.features);
    for (const int64_t id : inputs[s]) batch.ids.push_back(id < 0 ? id - vectors : id);
    if (sample.features.defined()) append(batch.features, sample.features);
    batch.lengths.push_back(length);
    for (const auto& span : sample.spoken) {
      batch.spoken.push_back({start + span.begin, start + span.end, span.text});
    }
    for (int64_t i = 1; i < length; ++i) {
      if (sample.use[i] == TokenUse::kRead) continue;
      batch.target_rows.push_back(start + i - 1);
      batch.targets.push_back(sample.ids[i]);
    }
  }
  return batches;
}

int64_t Mixture::rows() const {
  int64_t count = 0;
  for (const auto& source : sources_) count += static_cast<int64_t>(source.size());
  return count;
}

nlohmann::json Mixture::state() const {
  nlohmann::json sources = nlohmann::json::array();
  for (const auto& source : sources_) {
    sources.push_back({{"epoch", source.epoch},
                       {"position", source.position},
                       {"rows", source.size()},
                       {"hash", concat(source.hash)}});
  }
  return {{"random", random_.state()}, {"skipped", skipped_}, {"sources", sources}};
}

void Mixture::load_state(const nlohmann::json& state) {
  const auto& sources = state.at("sources");
  require(sources.size() == sources_.size(), "the checkpoint's mixture has ", sources.size(),
          " sources, the recipe has ", sources_.size(), ": a changed mixture needs a new output folder");
  for (size_t i = 0; i < sources_.size(); ++i) {
    require(sources[i].at("rows").get<size_t>() == sources_[i].size(), sources_[i].config.rows.string(), " has ",
            sources_[i].size(), " usable rows, the checkpoint was trained on ", sources[i].at("rows").get<size_t>());
    require(sources[i].at("hash") == concat(sources_[i].hash), sources_[i].config.rows.string(),
            " holds other rows than the checkpoint was trained on: use another \"output\", or remove the checkpoints");
    shuffle(sources_[i], sources[i].at("epoch").get<int64_t>());
    sources_[i].position = sources[i].at("position").get<int64_t>();
  }
  random_.set_state(state.at("random").get<uint64_t>());
  skipped_ = state.at("skipped").get<int64_t>();
}

}  // namespace ichigo
