// Whisper's vocabulary: special ids, what is suppressed, start sequences. Source: openai-whisper tokenizer.py.
// The ids follow from the model's vocabulary size alone; a tokenizer is needed only for text in and out.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_pair.h"

namespace ichigo {

class WhisperVocabulary {
 public:
  // n_vocab: 51864 (English only), 51865 (99 languages) or 51866 (100). Throws Error on any other, and when the
  // tokenizer is not the one that belongs to it.
  explicit WhisperVocabulary(int64_t n_vocab, std::optional<BytePairTokenizer> tokenizer = std::nullopt);

  bool multilingual() const { return multilingual_; }
  int64_t size() const { return timestamp_begin() + 1501; }
  int64_t eot() const { return eot_; }
  int64_t sot() const { return eot_ + 1; }
  int64_t language_begin() const { return sot() + 1; }
  int64_t translate() const { return language_begin() + languages_; }
  int64_t transcribe() const { return translate() + 1; }
  int64_t sot_lm() const { return translate() + 2; }
  int64_t sot_prev() const { return translate() + 3; }
  int64_t no_speech() const { return translate() + 4; }
  int64_t no_timestamps() const { return translate() + 5; }
  int64_t timestamp_begin() const { return translate() + 6; }  // 0.00 s; then every 0.02 s to 30.00 s

  bool is_text(int64_t id) const { return id >= 0 && id < eot_; }
  bool is_timestamp(int64_t id) const { return id >= timestamp_begin() && id < size(); }
  double timestamp_seconds(int64_t id) const { return 0.02 * static_cast<double>(id - timestamp_begin()); }

  int64_t languages() const { return languages_; }
  // "en", "zh"... of a language id / the id of a code. Throws Error when there is none.
  std::string language_of(int64_t id) const;
  int64_t language_token(std::string_view language) const;

  // <|startoftranscript|>, language and task ("transcribe", "translate") where the model is multilingual, and
  // <|notimestamps|> unless `timestamps`.
  std::vector<int64_t> sot_sequence(std::string_view language, std::string_view task, bool timestamps) const;
  // Pieces that are never speech (brackets, music signs...), sorted.
  const std::vector<int64_t>& non_speech() const;
  // What greedy recognition never takes: non-speech pieces and the control ids except eot and no_timestamps, sorted.
  std::vector<int64_t> suppressed() const;
  // What it does not take as the first token: a space and eot.
  std::vector<int64_t> suppressed_at_begin() const { return {kSpace, eot_}; }

  // The text of text ids; all others are left out. Throws Error when there is no tokenizer.
  std::string decode(const std::vector<int64_t>& ids) const;
  // Ids of plain text (a prompt).
  std::vector<int64_t> encode(std::string_view text) const;

 private:
  static constexpr int64_t kSpace = 220;
  const BytePairTokenizer& tokenizer() const;

  bool multilingual_;
  int64_t languages_, eot_;
  std::optional<BytePairTokenizer> tokenizer_;
};

}  // namespace ichigo
