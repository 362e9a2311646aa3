// GGUF v2 and v3: metadata, vocabulary and tensors (F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q6_K).
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "weights/weight_file.h"

namespace ichigo {

class GgufFile : public WeightFile {
 public:
  // All metadata as one flat JSON object: "llama.block_count", "tokenizer.ggml.tokens" (array)...
  virtual const nlohmann::json& metadata() const = 0;
};

std::unique_ptr<GgufFile> open_gguf(const std::filesystem::path& path);

// A Llama GGUF seen as a Hugging Face model: tensors renamed (blk.0.attn_q.weight -> model.layers.0.self_attn...)
// with llama.cpp's row permutation of q and k undone, and the config.json that belongs to it.
std::unique_ptr<WeightFile> gguf_as_hugging_face(std::unique_ptr<GgufFile> file);
nlohmann::json gguf_llama_config(const GgufFile& file);

}  // namespace ichigo
