// What a decoder is trained on: token files mixed by share, turned into samples of ids and loss mask, and packed into
// batches in which no attention crosses samples. The stream is deterministic and goes on exactly where it stopped.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/token_file.h"
#include "text/chat_prompt.h"

namespace ichigo {

enum class Task {
  kPretrain,       // bare speech, then what was said, if known: next-token prediction
  kAnswer,         // a spoken question and its answer, and the turns before, where it has some
  kTranscription,  // a prompt with speech, and what was said
  kText,           // as kAnswer, but typed
  kRunningText,    // a piece of a plain text, outside of any conversation: next-token prediction
};
Task parse_task(const std::string& name);  // pretrain, answer, transcription, text, running_text

enum class LossMask {
  kAnswer,  // the assistant's tokens only
  kAll,     // every token but the first (Ichigo trains on inputs too)
};
LossMask parse_loss_mask(const std::string& name);  // answer, all

struct MixtureSource {
  std::filesystem::path rows;  // a token file; of kRunningText a text in UTF-8
  Task task = Task::kAnswer;
  // Of samples, relative to the other sources. Mind their lengths: a step's loss is the mean over all its targets, and a
  // piece of running text, as long as a sample may be, has as many as thirty answers.
  double share = 1;
  // The share of the target text's tokens that the model reads back as others of the same step: what it writes next
  // must then come from what it hears, not from what it wrote (in the manner of word dropout, Bowman et al. 2016).
  double replaced = 0;
};

// Where speech lies, and what it says: from its first code to the last token before the target text.
struct SpokenSpan {
  int64_t begin = 0, end = 0;
  std::string text;
};

enum class TokenUse : uint8_t {
  kRead,       // given
  kPredicted,  // to be predicted from what stands before it
  kWritten,    // predicted, and a word of the assistant's: may be read back as another
};

struct TrainingSample {
  std::vector<int64_t> ids;
  std::vector<TokenUse> use;
  std::vector<SpokenSpan> spoken;
  at::Tensor features;  // as PackedBatch
  double replaced = 0;  // the share of written tokens to be read back as others
};

// One forward pass: samples packed one behind another.
struct PackedBatch {
  std::vector<int64_t> ids, lengths;
  std::vector<int64_t> target_rows, targets;  // hidden state `target_rows[j]` predicts the token `targets[j]`
  std::vector<SpokenSpan> spoken;             // of the samples with speech
  // bfloat16 [count, width], where speech is heard as vectors: what those are made of for which ids below 0 stand
  // (vector_id); undefined where there is none.
  at::Tensor features;
};

class Mixture {
 public:
  // With a `feature_width` speech is given as features of that width in place of codes; all else is drawn alike.
  // Throws Error: a source without usable rows or without features, or a share that is not positive.
  Mixture(const std::vector<MixtureSource>& sources, const ChatPrompt& prompt, const SoundVocabulary& sounds,
          LossMask mask, int64_t longest_sample, uint64_t seed, int64_t feature_width = 0);

  // Samples of at least `tokens` tokens in all, sorted by length and packed into batches of at most `batch_tokens`
  // (a longer sample stands alone). Samples over the longest length are passed over.
  std::vector<PackedBatch> next_step(int64_t tokens, int64_t batch_tokens);
  int64_t rows() const;
  // Samples left out so far because they were too long.
  int64_t skipped() const { return skipped_; }

  nlohmann::json state() const;
  void load_state(const nlohmann::json& state);

 private:
  struct Source {
    MixtureSource config;
    std::vector<SpeechRow> rows;
    std::vector<std::vector<int64_t>> pieces;  // of running text, in place of rows
    uint64_t hash = 0;                         // of what the rows hold
    std::vector<uint32_t> order;               // of this epoch
    int64_t epoch = -1, position = 0;

    size_t size() const { return rows.size() + pieces.size(); }
  };
  using TokenFiles = std::map<std::filesystem::path, std::vector<SpeechRow>>;  // a file often serves several tasks
  void choose_rows(Source& source, TokenFiles& files) const;
  void cut_running_text(Source& source) const;
  TrainingSample next_sample();
  TrainingSample make_sample(const SpeechRow& row, Task task);
  TokenUse use_of_prompt() const;  // of what stands before an answer
  void append_turn(TrainingSample& sample, const SpeechTurn& turn, Task task);
  // Each sample's ids as they are read: what is to be predicted stays as it is.
  std::vector<std::vector<int64_t>> inputs_of(const std::vector<TrainingSample>& samples);
  void shuffle(Source& source, int64_t epoch);

  std::vector<Source> sources_;
  const ChatPrompt& prompt_;
  const SoundVocabulary& sounds_;
  LossMask mask_;
  int64_t longest_sample_, feature_width_, skipped_ = 0;
  uint64_t seed_;
  Random random_;
};

}  // namespace ichigo
