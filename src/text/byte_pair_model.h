// What a byte-pair tokenizer knows (vocabulary, merges, added tokens) and how it encodes one word. Not for callers:
// they use byte_pair.h. Method: Sennrich et al. 2016, on bytes as in GPT-2.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/byte_pair.h"
#include "text/byte_pair_tables.h"
#include "text/pre_tokenizer.h"

namespace ichigo {

// The printable letters that stand for bytes in vocabularies, and back: nothing when a letter is not one of them.
std::string bytes_to_letters(std::string_view bytes);
std::optional<std::string> letters_to_bytes(std::string_view letters);

struct BytePairModel {
  std::vector<BytePairToken> tokens;  // by id; unused ids are empty
  std::unordered_map<std::string, int32_t> ids;
  std::vector<std::pair<int32_t, int32_t>> merges;  // by rank
  std::vector<BytePairTokenizer::AddedToken> added;
  std::vector<bool> added_normalized;  // beside `added`: sought in the normalised text, after the others
  PreTokenizer pre_tokenizer;
  bool compose = false;  // normalise to NFC first
  bool ignore_merges = false;
  std::vector<int64_t> prefix, suffix;  // what the post-processor adds

  // Adds a vocabulary entry. Throws Error when its id or text is taken or the id is beyond `limit`.
  void add_entry(std::string text, int64_t id, int64_t limit);
  // Adds an added token (an entry of the same id and text becomes one). Throws as add_entry.
  void add_added(const std::string& text, int64_t id, bool special, bool normalized, int64_t limit);
  // Adds the next merge by its two texts. Throws Error naming a text that is not in the vocabulary.
  void add_merge(const std::string& left, const std::string& right);
  // To be called when vocabulary and merges are complete.
  void finish();

  // Appends the ids of one word (any bytes).
  void encode_word(std::string_view word, std::vector<int64_t>& out) const;

  AddedTokenTrie plain_added, normalized_added;

 private:
  // `symbols` are the ids of the word's bytes and become those of its tokens.
  void merge_short(std::string_view word, std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  MergeTable table_;
  WordTable whole_words_;  // only with ignore_merges
  MergeTable::ByteIds byte_ids_{};
  uint32_t cache_owner_ = 0;
  size_t added_bytes_ = 0;
};

}  // namespace ichigo
