// Ichigo's vocabulary extension: <|sound_start|>, <|sound_end|>, <|sound_0000|>..., and of version 0.5
// <|duration_02|>... to <|duration_49|>, which stand before a code that is held so long.
// Source: homebrewltd/ichigo README, ids as published (reference: start and end first, then the codes).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/byte_pair.h"

namespace ichigo {

// Where speech is heard as vectors (models/speech_adapter), a number below 0 stands in a code's place, and in a
// token's: that of vector 0 is -1, of vector 1 -2. The same function goes back.
constexpr int64_t vector_id(int64_t vector) {
  return -1 - vector;
}

class SoundVocabulary {
 public:
  // Finds the sound tokens in a tokenizer. Throws Error when there are none or they are not consecutive.
  explicit SoundVocabulary(const BytePairTokenizer& tokenizer);
  // Adds them: start and end (special), then `codes` + 1 sound tokens (the last is the mask code; not special).
  static void extend(BytePairTokenizer& tokenizer, int64_t codes);

  int64_t start() const { return start_; }
  int64_t end() const { return end_; }
  int64_t codes() const { return codes_; }  // sound tokens, mask code included
  int64_t id(int64_t code) const { return first_ + code; }
  bool is_code(int64_t id) const { return id >= first_ && id < first_ + codes_; }
  int64_t code(int64_t id) const { return id - first_; }
  // start, the codes' ids, end. Where the vocabulary has durations, a run of equal codes becomes its length and the
  // code (in pieces of 49 where it is longer). What is below 0 stays as it is (vector_id).
  std::vector<int64_t> ids(std::span<const int> codes) const;
  // The least that ids() of so many codes can be.
  int64_t fewest_ids(int64_t codes) const;
  // All ids that stand for sound, as ranges [begin, end).
  std::vector<std::pair<int64_t, int64_t>> ranges() const;

 private:
  int64_t start_ = -1, end_ = -1, first_ = -1, codes_ = 0;
  int64_t first_duration_ = -1;  // of <|duration_02|>; -1: the vocabulary has none
};

// "<|sound_0042|>"
std::string sound_token(int64_t code);
// "<|sound_start|><|sound_0042|>...<|sound_end|>"
std::string sound_string(std::span<const int> codes);
// The codes of a sound string, with or without durations. Throws Error on anything else in it.
std::vector<int> parse_sound_string(std::string_view text);

}  // namespace ichigo
