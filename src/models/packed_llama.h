// Llama and Qwen2 for inference on the processor: packed weights (nn/packed_matrix), activations in float32, what is
// small computed in place. What a token gives does not depend, bit by bit, on how the tokens are cut into calls of
// forward. The same layers with gradients, and for GPUs, are models/llama.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/language_model.h"
#include "models/llama.h"
#include "nn/packed_matrix.h"
#include "nn/rotary.h"
#include "weights/weight_file.h"

namespace ichigo {

// What weights are computed with; empty: as they are stored (natural_type).
struct PackedTypes {
  std::optional<MatrixType> matrices, embedding;
  // Of "auto", "float32", "bfloat16", "q8_0" or "q4_0", whose embedding and head have 8 bits. Throws Error on another
  // name.
  static PackedTypes parse(const std::string& name);
};

class PackedLlama : public LanguageModel {
 public:
  // Weights under Hugging Face's names; they are read row by row. Throws Error naming a missing or misshapen one.
  PackedLlama(const LlamaConfig& config, const WeightFile& weights, const PackedTypes& types = {});
  at::Tensor forward(const at::Tensor& ids, KeyValueCache& cache, const at::Tensor& vectors = {}) override;
  at::Tensor logits(const at::Tensor& hidden) override;
  // Of all matrices: what one token reads once.
  int64_t weight_bytes() const;

 private:
  struct Layer {
    PackedMatrix qkv, output, gate_up, down;
    std::vector<float> input_norm, post_norm, qkv_bias;  // qkv_bias: empty without
  };
  // Some tokens at positions `offset`...; x_ holds their embeddings and then their hidden states.
  void run(int64_t time, int64_t offset, KeyValueCache& cache);
  void attend(const Layer& layer, int64_t time, int64_t offset, FloatLayerCache& cache);

  LlamaConfig config_;
  RotaryTable rotary_;
  std::vector<Layer> layers_;
  PackedMatrix embedding_, head_;  // head_ is empty when tied
  std::vector<float> norm_;
  // What one call needs, kept for the next: [time, ...].
  PackedVectors vectors_;
  std::vector<float> x_, normed_, qkv_, attended_, gate_up_, middle_;
};

}  // namespace ichigo
