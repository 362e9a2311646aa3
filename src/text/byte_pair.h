// Byte-level byte-pair encoding as Hugging Face `tokenizers` does it: reads tokenizer.json and GGUF vocabularies.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ichigo {

class BytePairTokenizer {
 public:
  // Added tokens are atoms: matched before anything else. `special` ones are left out of decode(..., true).
  struct AddedToken {
    int64_t id;
    std::string text;
    bool special;
  };

  // tokenizer.json. Throws Error naming the file and the construct it does not know.
  static BytePairTokenizer from_file(const std::filesystem::path& path);
  // The "tokenizer.ggml.*" keys of GGUF metadata (tokens, merges, token_type, pre: llama-bpe, qwen2, smollm, gpt-2).
  static BytePairTokenizer from_gguf(const nlohmann::json& metadata);
  BytePairTokenizer(BytePairTokenizer&&) noexcept;
  BytePairTokenizer& operator=(BytePairTokenizer&&) noexcept;
  ~BytePairTokenizer();

  // Appends tokens after the last id (already known texts keep theirs).
  void add_tokens(const std::vector<std::string>& texts, bool special);

  // Ids of `text`. With `add_special` also what the post-processor adds (a BOS token).
  // With `parse_added` false, added tokens in `text` are treated as plain text (a user's input).
  std::vector<int64_t> encode(std::string_view text, bool add_special = false, bool parse_added = true) const;
  // Bytes of the tokens; incomplete UTF-8 at the end is kept as it is.
  std::string decode(const std::vector<int64_t>& ids, bool skip_special = true) const;
  // The bytes of one token ("" for an id out of range or a skipped special one).
  std::string token_bytes(int64_t id, bool skip_special = true) const;

  int64_t vocabulary_size() const;              // largest id + 1
  int64_t id_of(std::string_view token) const;  // -1 when unknown; added tokens and vocabulary entries
  const std::vector<AddedToken>& added_tokens() const;
  // Writes a Hugging Face tokenizer.json that reads back as this tokenizer.
  void save(const std::filesystem::path& path) const;
  // The "tokenizer.ggml.*" keys that from_gguf reads back as this tokenizer, for a model with `rows` embedding rows.
  // Throws Error when GGUF cannot express it.
  nlohmann::json gguf_metadata(int64_t rows) const;

 private:
  struct Impl;
  explicit BytePairTokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ichigo
