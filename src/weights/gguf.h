// GGUF v2 and v3: metadata, vocabulary and tensors (F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q6_K). Writing: v3, all
// of these types but the last two.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "weights/tensor_to_write.h"
#include "weights/weight_file.h"

namespace ichigo {

class GgufFile : public WeightFile {
 public:
  // All metadata as one flat JSON object: "llama.block_count", "tokenizer.ggml.tokens" (array)...
  virtual const nlohmann::json& metadata() const = 0;
};

std::unique_ptr<GgufFile> open_gguf(const std::filesystem::path& path);

// Writes one file, atomically, tensors in the given order. `metadata` is flat as GgufFile's: whole numbers become
// uint32 (int32 within arrays), others float32, beside booleans, strings and arrays of strings.
// Throws Error when a value or tensor cannot be stored.
void write_gguf(const std::filesystem::path& path, const nlohmann::json& metadata,
                const std::vector<TensorToWrite>& tensors);

// A Llama or Qwen2 GGUF seen as a Hugging Face model: tensors renamed (blk.0.attn_q.weight ->
// model.layers.0.self_attn...) with llama.cpp's row permutation of Llama's q and k undone, and the config.json that
// belongs to it.
std::unique_ptr<WeightFile> gguf_as_hugging_face(std::unique_ptr<GgufFile> file);
nlohmann::json gguf_llama_config(const GgufFile& file);

// The way back, tensor by tensor. GGUF's name of a Hugging Face tensor; throws Error for one that Llama has not.
std::string gguf_llama_name(const std::string& hugging_face);
// The heads whose rows llama.cpp permutes in the tensor of this GGUF name: of q and k, for Llama alone; else 0.
// `config`: as of gguf_llama_config.
int64_t gguf_permuted_heads(const std::string& name, const nlohmann::json& config);
// The rows of q or k [heads x head_dim, ...] in llama.cpp's order for Llama.
at::Tensor gguf_llama_rows(const at::Tensor& weight, int64_t heads);

}  // namespace ichigo
