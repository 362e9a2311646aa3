// Byte-pair models out of Hugging Face tokenizer.json and GGUF metadata, and back.
// Everything that would tokenise differently from the original is refused, never skipped.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "text/byte_pair_model.h"

namespace ichigo {

// Throw Error (and nlohmann::json::exception for a wrong type) saying which construct is wrong or unknown.
BytePairModel model_from_tokenizer_json(const nlohmann::json& file);
BytePairModel model_from_gguf(const nlohmann::json& metadata);
std::string to_tokenizer_json(const BytePairModel& model);
// The "tokenizer.ggml.*" keys of a vocabulary of `rows` ids: those behind its last token are marked as unused.
nlohmann::json to_gguf_metadata(const BytePairModel& model, int64_t rows);

}  // namespace ichigo
