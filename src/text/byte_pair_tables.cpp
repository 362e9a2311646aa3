#include "text/byte_pair_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ichigo {

uint64_t hash_of_word(std::string_view word) {
  uint64_t hash = 0x9E3779B97F4A7C15U;
  while (!word.empty()) {
    uint64_t part = 0;
    const size_t size = std::min<size_t>(8, word.size());
    std::memcpy(&part, word.data(), size);
    hash = (std::rotl(hash, 5) ^ part ^ size) * 0xD6E8FEB86659FD93U;
    word.remove_prefix(size);
  }
  return hash ^ hash >> 32;
}

MergeTable::MergeTable(size_t merges, const ByteIds& byte_ids)
    : entries_(std::bit_ceil(2 * merges + 2)), byte_pairs_(byte_ids.size() * byte_ids.size(), kNone) {
  shift_ = 64 - std::countr_zero(entries_.size());
  for (size_t byte = 0; byte < byte_ids.size(); ++byte) {
    if (byte_ids[byte] >= 0) byte_of_.emplace(byte_ids[byte], static_cast<uint8_t>(byte));
  }
}

void MergeTable::insert(int32_t left, int32_t right, int32_t rank, int32_t merged) {
  const uint64_t pair = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  size_t i = slot(pair);
  while (entries_[i].pair != kEmpty && entries_[i].pair != pair) i = (i + 1) & (entries_.size() - 1);
  entries_[i] = {pair, rank, merged};
  const auto first = byte_of_.find(left), second = byte_of_.find(right);
  if (first == byte_of_.end() || second == byte_of_.end()) return;
  byte_pairs_[size_t{first->second} << 8 | second->second] = static_cast<uint32_t>(i);
}

const MergeTable::Entry* MergeTable::find(int32_t left, int32_t right) const {
  const uint64_t pair = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  for (size_t i = slot(pair);; i = (i + 1) & (entries_.size() - 1)) {
    if (entries_[i].pair == pair) return &entries_[i];
    if (entries_[i].pair == kEmpty) return nullptr;
  }
}

WordTable::WordTable(const std::vector<BytePairToken>& tokens) : entries_(std::bit_ceil(2 * tokens.size() + 2)) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    const uint64_t hash = hash_of_word(tokens[id].bytes);
    if (!tokens[id].in_model || find(tokens[id].bytes, hash, tokens) >= 0) continue;
    size_t i = hash & (entries_.size() - 1);
    while (entries_[i].id >= 0) i = (i + 1) & (entries_.size() - 1);
    entries_[i] = {static_cast<uint32_t>(hash >> 32), static_cast<int32_t>(id)};
  }
}

int32_t WordTable::find(std::string_view word, uint64_t hash, const std::vector<BytePairToken>& tokens) const {
  if (entries_.empty()) return -1;
  for (size_t i = hash & (entries_.size() - 1);; i = (i + 1) & (entries_.size() - 1)) {
    const Entry& entry = entries_[i];
    if (entry.id < 0) return -1;
    if (entry.hash == static_cast<uint32_t>(hash >> 32) && tokens[static_cast<size_t>(entry.id)].bytes == word) {
      return entry.id;
    }
  }
}

void AddedTokenTrie::insert(std::string_view text, int32_t id) {
  begins_[static_cast<unsigned char>(text[0])] = true;
  uint32_t node = 0;
  for (const char c : text) {
    const auto next = static_cast<uint32_t>(ids_.size());
    const auto [child, added] = children_.try_emplace(uint64_t{node} << 8 | static_cast<unsigned char>(c), next);
    if (added) ids_.push_back(-1);
    node = child->second;
  }
  ids_[node] = id;
}

std::optional<AddedTokenTrie::Found> AddedTokenTrie::find(std::string_view text) const {
  if (empty()) return std::nullopt;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Found> longest;
    uint32_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      const auto child = children_.find(uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] >= 0) longest = Found{begin, i + 1 - begin, ids_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

}  // namespace ichigo
