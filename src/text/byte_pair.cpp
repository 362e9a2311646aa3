// Text to ids in three cuts: added tokens, then words (pre_tokenizer), then byte pairs (byte_pair_model).
#include "text/byte_pair.h"

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/byte_pair_model.h"
#include "text/json_text.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace ichigo {

struct BytePairTokenizer::Impl : BytePairModel {
  explicit Impl(BytePairModel model) : BytePairModel(std::move(model)) {}

  // Calls `between` for what lies between the trie's tokens and appends the tokens' ids.
  template <typename Between>
  static void cut(const AddedTokenTrie& trie, std::string_view text, std::vector<int64_t>& out, Between between) {
    while (const auto found = trie.find(text)) {
      between(text.substr(0, found->begin));
      out.push_back(found->id);
      text.remove_prefix(found->begin + found->length);
    }
    between(text);
  }

  void encode_valid(std::string_view text, bool parse_added, std::vector<int64_t>& out) const {
    const auto words = [&](std::string_view part) {
      pre_tokenizer.split(part, [&](std::string_view word) { encode_word(word, out); });
    };
    const std::string composed = compose ? normalize_nfc(text) : "";
    if (compose) text = composed;
    parse_added ? cut(normalized_added, text, out, words) : words(text);
  }

  // A byte that is not part of valid UTF-8 is a word of its own.
  void encode_any(std::string_view text, bool parse_added, std::vector<int64_t>& out) const {
    while (!text.empty()) {
      const size_t valid = valid_utf8_prefix(text);
      if (valid > 0) encode_valid(text.substr(0, valid), parse_added, out);
      text.remove_prefix(valid);
      if (text.empty()) return;
      encode_word(text.substr(0, 1), out);
      text.remove_prefix(1);
    }
  }
};

BytePairTokenizer::BytePairTokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BytePairTokenizer::BytePairTokenizer(BytePairTokenizer&&) noexcept = default;
BytePairTokenizer& BytePairTokenizer::operator=(BytePairTokenizer&&) noexcept = default;
BytePairTokenizer::~BytePairTokenizer() = default;

BytePairTokenizer BytePairTokenizer::from_file(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  try {
    return BytePairTokenizer(std::make_unique<Impl>(model_from_tokenizer_json(parse_json_object(text, "It"))));
  } catch (const nlohmann::json::exception& error) {
    fail(path.string(), ": not a valid tokenizer.json (", error.what(), ").");
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

BytePairTokenizer BytePairTokenizer::from_gguf(const nlohmann::json& metadata) {
  try {
    return BytePairTokenizer(std::make_unique<Impl>(model_from_gguf(metadata)));
  } catch (const nlohmann::json::exception& error) {
    fail("The GGUF metadata hold no valid tokenizer (", error.what(), ").");
  }
}

void BytePairTokenizer::add_tokens(const std::vector<std::string>& texts, bool special) {
  for (const std::string& text : texts) {
    require(!text.empty(), "An empty text cannot be a token.");
    const auto known = impl_->ids.find(text);
    const auto next = static_cast<int64_t>(impl_->tokens.size());
    const int64_t id = known == impl_->ids.end() ? next : known->second;
    if (id < next && impl_->tokens[static_cast<size_t>(id)].added) continue;
    impl_->add_added(text, id, special, !special, next + 1);
  }
}

std::vector<int64_t> BytePairTokenizer::encode(std::string_view text, bool add_special, bool parse_added) const {
  std::vector<int64_t> out;
  out.reserve(text.size() / 3 + 4);
  if (add_special) out = impl_->prefix;
  const auto rest = [&](std::string_view part) { impl_->encode_any(part, parse_added, out); };
  parse_added ? Impl::cut(impl_->plain_added, text, out, rest) : rest(text);
  if (add_special) out.insert(out.end(), impl_->suffix.begin(), impl_->suffix.end());
  return out;
}

std::string BytePairTokenizer::decode(const std::vector<int64_t>& ids, bool skip_special) const {
  std::string out;
  for (const int64_t id : ids) {
    if (id < 0 || id >= vocabulary_size()) continue;
    const auto& token = impl_->tokens[static_cast<size_t>(id)];
    if (!(skip_special && token.special)) out += token.bytes;
  }
  return out;
}

std::string BytePairTokenizer::token_bytes(int64_t id, bool skip_special) const {
  return decode({id}, skip_special);
}

int64_t BytePairTokenizer::vocabulary_size() const {
  return static_cast<int64_t>(impl_->tokens.size());
}

int64_t BytePairTokenizer::id_of(std::string_view token) const {
  const auto found = impl_->ids.find(std::string(token));
  return found == impl_->ids.end() ? -1 : found->second;
}

const std::vector<BytePairTokenizer::AddedToken>& BytePairTokenizer::added_tokens() const {
  return impl_->added;
}

nlohmann::json BytePairTokenizer::gguf_metadata(int64_t rows) const {
  return to_gguf_metadata(*impl_, rows);
}

void BytePairTokenizer::save(const std::filesystem::path& path) const {
  write_file(path, to_tokenizer_json(*impl_));
}

}  // namespace ichigo
