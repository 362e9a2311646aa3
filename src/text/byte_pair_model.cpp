// Short words merge by scanning for the lowest rank, long ones through a heap; short results are remembered per thread.
#include "text/byte_pair_model.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <queue>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

constexpr size_t kShortWord = 48;  // symbols; beyond, scanning costs more than the heap

struct Alphabet {
  std::array<char32_t, 256> letters{};
  std::array<int, 512> bytes{};
};

const Alphabet& alphabet() {
  static const Alphabet result = [] {
    Alphabet a;
    a.bytes.fill(-1);
    char32_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
      a.letters[byte] = printable ? static_cast<char32_t>(byte) : next++;
      a.bytes[a.letters[byte]] = static_cast<int>(byte);
    }
    return a;
  }();
  return result;
}

// One remembered word. Direct mapped; a collision simply overwrites.
struct CachedWord {
  static constexpr size_t kBytes = 26, kIds = 8;
  uint32_t owner = 0;
  uint8_t length = 0, count = 0;
  std::array<char, kBytes> bytes{};
  std::array<int32_t, kIds> ids{};
};
constexpr size_t kCachedWords = 1 << 15;    // 2 MiB per thread
constexpr size_t kMaxAddedBytes = 1 << 20;  // each is a node of a trie

CachedWord& cache_slot(uint64_t hash) {
  thread_local std::vector<CachedWord> cache(kCachedWords);
  return cache[(hash >> 40) % kCachedWords];
}

}  // namespace

std::string bytes_to_letters(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_utf8(out, alphabet().letters[static_cast<unsigned char>(byte)]);
  return out;
}

std::optional<std::string> letters_to_bytes(std::string_view letters) {
  std::string out;
  for (const char32_t letter : decode_utf8(letters)) {
    if (letter >= alphabet().bytes.size() || alphabet().bytes[letter] < 0) return std::nullopt;
    out.push_back(static_cast<char>(alphabet().bytes[letter]));
  }
  return out;
}

void BytePairModel::add_entry(std::string text, int64_t id, int64_t limit) {
  require(id >= 0 && id < limit && id < std::numeric_limits<int32_t>::max(), "The token \"", text, "\" has the id ", id,
          ", which does not fit a vocabulary of this size.");
  require(!text.empty(), "The token with the id ", id, " is empty.");
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  require(tokens[index].text.empty(), "The tokens \"", tokens[index].text, "\" and \"", text, "\" have the same id ",
          id, ".");
  require(ids.try_emplace(text, static_cast<int32_t>(id)).second, "The token \"", text, "\" appears twice.");
  tokens[index].bytes = letters_to_bytes(text).value_or(text);
  tokens[index].text = std::move(text);
  tokens[index].in_model = true;
}

void BytePairModel::add_added(const std::string& text, int64_t id, bool special, bool normalized, int64_t limit) {
  const auto known = ids.find(text);
  if (known == ids.end()) {
    add_entry(text, id, limit);
    tokens[static_cast<size_t>(id)].in_model = false;
  } else {
    require(known->second == id, "The added token \"", text, "\" has the id ", id, ", but the vocabulary says ",
            known->second, ".");
  }
  auto& token = tokens[static_cast<size_t>(id)];
  require(!token.added, "The added token \"", text, "\" appears twice.");
  token.added = true;
  token.bytes = text;
  token.special = special;
  added.push_back({id, text, special});
  added_normalized.push_back(normalized);
  const std::string sought = normalized && compose ? normalize_nfc(text) : text;
  added_bytes_ += sought.size();
  require(added_bytes_ <= kMaxAddedBytes, "The added tokens have more than ", kMaxAddedBytes, " bytes.");
  (normalized ? normalized_added : plain_added).insert(sought, static_cast<int32_t>(id));
}

void BytePairModel::add_merge(const std::string& left, const std::string& right) {
  const auto id = [&](const std::string& text) {
    const auto found = ids.find(text);
    require(found != ids.end(), "The merge of \"", left, "\" and \"", right, "\" needs the token \"", text,
            "\", which the vocabulary does not have.");
    return found->second;
  };
  id(left + right);
  merges.emplace_back(id(left), id(right));
}

void BytePairModel::finish() {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const auto found = ids.find(bytes_to_letters({&c, 1}));
    byte_ids_[static_cast<size_t>(byte)] = found == ids.end() ? -1 : found->second;
  }
  table_ = MergeTable(merges.size(), byte_ids_);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = merges[rank];
    const int32_t merged = ids.at(tokens[static_cast<size_t>(left)].text + tokens[static_cast<size_t>(right)].text);
    table_.insert(left, right, static_cast<int32_t>(rank), merged);
  }
  if (ignore_merges) whole_words_ = WordTable(tokens);
  static std::atomic<uint32_t> owners{0};
  cache_owner_ = ++owners;
}

void BytePairModel::encode_word(std::string_view word, std::vector<int64_t>& out) const {
  const uint64_t hash = hash_of_word(word);
  CachedWord* slot = nullptr;
  if (word.size() <= CachedWord::kBytes) {
    slot = &cache_slot(hash);
    if (slot->owner == cache_owner_ && std::string_view(slot->bytes.data(), slot->length) == word) {
      out.insert(out.end(), slot->ids.begin(), slot->ids.begin() + slot->count);
      return;
    }
  }
  thread_local std::vector<int32_t> symbols;
  symbols.clear();
  if (const int32_t whole = whole_words_.find(word, hash, tokens); whole >= 0) {
    symbols.push_back(whole);
  } else {
    for (const char c : word) {
      const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
      if (id >= 0) symbols.push_back(id);  // a byte that the vocabulary lacks is dropped, as in `tokenizers`
    }
    if (symbols.size() == word.size() && word.size() <= kShortWord) {
      merge_short(word, symbols);
    } else {
      merge_long(symbols);
    }
  }
  out.insert(out.end(), symbols.begin(), symbols.end());
  if (slot != nullptr && symbols.size() <= CachedWord::kIds) {
    slot->owner = cache_owner_;
    slot->length = static_cast<uint8_t>(word.size());
    slot->count = static_cast<uint8_t>(symbols.size());
    std::copy(word.begin(), word.end(), slot->bytes.begin());
    std::copy(symbols.begin(), symbols.end(), slot->ids.begin());
  }
  if (symbols.capacity() > (size_t{1} << 20)) symbols = {};
}

void BytePairModel::merge_short(std::string_view word, std::vector<int32_t>& symbols) const {
  std::array<const MergeTable::Entry*, kShortWord> pairs{};  // pairs[i]: symbols i and i + 1
  const auto look_up = [&](size_t i) { pairs[i] = table_.find(symbols[i], symbols[i + 1]); };
  for (size_t i = 0; i + 1 < word.size(); ++i) {
    pairs[i] = table_.find_bytes(static_cast<unsigned char>(word[i]), static_cast<unsigned char>(word[i + 1]));
  }
  while (symbols.size() > 1) {
    const size_t count = symbols.size() - 1;
    size_t best = count;
    for (size_t i = 0; i < count; ++i) {
      if (pairs[i] != nullptr && (best == count || pairs[i]->rank < pairs[best]->rank)) best = i;
    }
    if (best == count) return;
    symbols[best] = pairs[best]->merged;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    for (size_t i = best + 1; i + 1 < count; ++i) pairs[i] = pairs[i + 1];
    if (best > 0) look_up(best - 1);
    if (best + 1 < symbols.size()) look_up(best);
  }
}

void BytePairModel::merge_long(std::vector<int32_t>& symbols) const {
  struct Candidate {
    int32_t rank;
    size_t left, right;
    int32_t left_id, right_id, merged;
    bool operator<(const Candidate& other) const {  // the queue's top is the lowest rank, then the leftmost
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const size_t size = symbols.size();
  std::vector<size_t> previous(size), next(size);
  std::priority_queue<Candidate> queue;
  const auto offer = [&](size_t left, size_t right) {
    if (const auto* entry = table_.find(symbols[left], symbols[right])) {
      queue.push({entry->rank, left, right, symbols[left], symbols[right], entry->merged});
    }
  };
  for (size_t i = 0; i < size; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1;
    if (i + 1 < size) offer(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (symbols[best.left] != best.left_id || symbols[best.right] != best.right_id || next[best.left] != best.right) {
      continue;
    }
    symbols[best.left] = best.merged;
    symbols[best.right] = -1;
    next[best.left] = next[best.right];
    if (next[best.left] < size) {
      previous[next[best.left]] = best.left;
      offer(best.left, next[best.left]);
    }
    if (best.left > 0) offer(previous[best.left], best.left);
  }
  std::erase(symbols, -1);
}

}  // namespace ichigo
