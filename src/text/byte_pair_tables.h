// The look-up tables of byte-pair encoding: pairs that merge, whole words, added tokens.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ichigo {

// Of any bytes; all of its bits may be used.
uint64_t hash_of_word(std::string_view word);

// (left id, right id) -> (rank, merged id), open addressing.
class MergeTable {
 public:
  struct Entry {
    uint64_t pair = kEmpty;
    int32_t rank = 0, merged = 0;
  };
  using ByteIds = std::array<int32_t, 256>;  // -1: the vocabulary lacks the byte
  MergeTable() : MergeTable(0, {}) {}
  MergeTable(size_t merges, const ByteIds& byte_ids);
  void insert(int32_t left, int32_t right, int32_t rank, int32_t merged);
  // Null when the pair never merges.
  const Entry* find(int32_t left, int32_t right) const;
  // find(byte_ids[left], byte_ids[right]), out of a table that stays in the processor's cache: every word begins as
  // its bytes.
  const Entry* find_bytes(unsigned char left, unsigned char right) const {
    const uint32_t entry = byte_pairs_[size_t{left} << 8 | right];
    return entry == kNone ? nullptr : &entries_[entry];
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  static constexpr uint32_t kNone = ~uint32_t{0};
  size_t slot(uint64_t pair) const { return static_cast<size_t>((pair * 0x9E3779B97F4A7C15U) >> shift_); }

  std::vector<Entry> entries_;
  std::vector<uint32_t> byte_pairs_;               // left * 256 + right -> place in entries_
  std::unordered_map<int32_t, uint8_t> byte_of_;  // by id
  int shift_ = 0;
};

struct BytePairToken {
  std::string text;       // as the file spells it
  std::string bytes;      // what it stands for
  bool in_model = false;  // an entry of the vocabulary proper (it may be an added token too)
  bool added = false;
  bool special = false;
};

// Bytes of a whole word -> id of the vocabulary's entry that it is, open addressing. The bytes stay in the tokens.
class WordTable {
 public:
  WordTable() = default;
  explicit WordTable(const std::vector<BytePairToken>& tokens);
  // -1 when there is none.
  int32_t find(std::string_view word, uint64_t hash, const std::vector<BytePairToken>& tokens) const;

 private:
  struct Entry {
    uint32_t hash = 0;  // its upper half
    int32_t id = -1;
  };
  std::vector<Entry> entries_;
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

}  // namespace ichigo
