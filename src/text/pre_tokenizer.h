// Cuts text into the words that byte-pair encoding works on: a chain of regular expressions, as tokenizer.json's
// "pre_tokenizer" (Split, Digits, ByteLevel, Sequence) and GGUF's "tokenizer.ggml.pre" name them.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace ichigo {

class PreTokenizer {
 public:
  // Throws Error naming a construct that it does not know.
  static PreTokenizer from_json(const nlohmann::json& pre_tokenizer);
  // llama-bpe, qwen2, smollm, gpt-2, default. Throws Error on any other name.
  static PreTokenizer from_gguf_name(const std::string& name);
  nlohmann::json to_json() const;
  // The name of from_gguf_name that cuts as this does. Throws Error when none does.
  std::string gguf_name() const;

  // Calls `visit` for each word, in order; together they are the text. `text` must be valid UTF-8.
  void split(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  void split_from(size_t stage, std::string_view text, const std::function<void(std::string_view)>& visit) const;

  std::vector<Regex> stages_;  // each cuts what the one before it left; matches and what lies between are words
};

}  // namespace ichigo
