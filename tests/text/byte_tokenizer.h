// A vocabulary of the 256 bytes and two added tokens, as tokenizer.json: the smallest that encodes everything.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/atomic_file.h"
#include "text/byte_pair_model.h"
#include "text/pre_tokenizer.h"

namespace ichigo::test {

// `pre`: how it cuts text, by GGUF's name.
inline void write_byte_tokenizer(const std::filesystem::path& path, const std::string& pre) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[bytes_to_letters(std::string(1, static_cast<char>(byte)))] = byte;
  const nlohmann::json file = {{"pre_tokenizer", PreTokenizer::from_gguf_name(pre).to_json()},
                               {"normalizer", pre == "qwen2" ? nlohmann::json{{"type", "NFC"}} : nlohmann::json()},
                               {"decoder", {{"type", "ByteLevel"}}},
                               {"added_tokens",
                                {{{"id", 256}, {"content", "<|im_end|>"}, {"special", true}},
                                 {{"id", 257}, {"content", "<tool>"}, {"special", false}, {"normalized", false}}}},
                               {"model",
                                {{"type", "BPE"},
                                 {"vocab", vocabulary},
                                 {"merges", nlohmann::json::array()},
                                 {"ignore_merges", pre == "llama-bpe"}}}};
  write_file(path, file.dump());
}

}  // namespace ichigo::test
