// What a byte-pair tokenizer knows (vocabulary, merges, added tokens) and how it encodes one word. Not for callers:
// they use byte_pair.h. Method: Sennrich et al. 2016, on bytes as in GPT-2.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/byte_pair.h"
#include "text/pre_tokenizer.h"

namespace ichigo {

// The printable letters that stand for bytes in vocabularies, and back: nothing when a letter is not one of them.
std::string bytes_to_letters(std::string_view bytes);
std::optional<std::string> letters_to_bytes(std::string_view letters);

// (left id, right id) -> (rank, merged id), open addressing.
class MergeTable {
 public:
  struct Entry {
    uint64_t pair = kEmpty;
    int32_t rank = 0, merged = 0;
  };
  explicit MergeTable(size_t merges = 0);
  void insert(int32_t left, int32_t right, int32_t rank, int32_t merged);
  // Null when the pair never merges.
  const Entry* find(int32_t left, int32_t right) const;

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  size_t slot(uint64_t pair) const { return static_cast<size_t>((pair * 0x9E3779B97F4A7C15U) >> shift_); }

  std::vector<Entry> entries_;
  int shift_ = 0;
};

// Finds added tokens in text: the leftmost, and of those that begin there the longest.
class AddedTokenTrie {
 public:
  struct Found {
    size_t begin, length;
    int32_t id;
  };
  void insert(std::string_view text, int32_t id);
  bool empty() const { return children_.empty(); }
  std::optional<Found> find(std::string_view text) const;

 private:
  std::unordered_map<uint64_t, uint32_t> children_;  // node * 256 + byte -> node
  std::vector<int32_t> ids_ = {-1};                  // by node
  std::array<bool, 256> begins_{};
};

struct BytePairModel {
  struct Token {
    std::string text;       // as the file spells it
    std::string bytes;      // what it stands for
    bool in_model = false;  // an entry of the vocabulary proper (it may be an added token too)
    bool added = false;
    bool special = false;
  };

  std::vector<Token> tokens;  // by id; unused ids are empty
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
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  MergeTable table_;
  std::unordered_map<std::string, int32_t> whole_words_;  // by bytes; only with ignore_merges
  std::array<int32_t, 256> byte_ids_{};
  uint32_t cache_owner_ = 0;
};

}  // namespace ichigo
