// Byte-pair models out of Hugging Face tokenizer.json and GGUF metadata, and back into tokenizer.json.
// Everything that would tokenise differently from the original is refused, never skipped.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "text/byte_pair_model.h"

namespace ichigo {

// Throw Error (and nlohmann::json::exception for a wrong type) saying which construct is wrong or unknown.
BytePairModel model_from_tokenizer_json(const nlohmann::json& file);
BytePairModel model_from_gguf(const nlohmann::json& metadata);
std::string to_tokenizer_json(const BytePairModel& model);

}  // namespace ichigo
