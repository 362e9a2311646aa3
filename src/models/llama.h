// Llama (and Qwen2, its sibling with biases on q, k and v): GQA, RoPE with llama3 scaling, RMSNorm, SwiGLU, tied or
// untied head. One definition for training (packed sequences) and inference (KV cache) on any device; inference on the
// processor has its own, with weights of few bits: models/packed_llama.
// Parameter names are Hugging Face's: model.embed_tokens.weight, model.layers.0.self_attn.q_proj.weight...
#pragma once
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/language_model.h"
#include "nn/rotary.h"
#include "weights/tensor_to_write.h"
#include "weights/weight_file.h"

namespace ichigo {

struct LlamaConfig {
  int64_t hidden_size = 576, intermediate_size = 1536, num_hidden_layers = 30;
  int64_t num_attention_heads = 9, num_key_value_heads = 3, head_dim = 64;
  int64_t vocab_size = 49152, max_position_embeddings = 8192;
  double rms_norm_eps = 1e-5, rope_theta = 1e5;
  std::optional<RopeScaling> rope_scaling;
  bool tie_word_embeddings = true, attention_bias = false;  // attention_bias: on q, k, v only (Qwen2)

  // config.json of a published Llama or Qwen2 directory (old and new spelling). Throws Error naming what is missing.
  static LlamaConfig from_json(const nlohmann::json& json);
  nlohmann::json to_json() const;
  void validate() const;
  int64_t parameters() const;
};

// Told when forward_packed and its backward pass come to a layer's parameters and when they leave them, so that these
// need not be there all the time. Behind the backward pass the parameters have their gradients.
struct LayerUse {
  std::function<void(int64_t layer)> before;
  std::function<void(int64_t layer, bool backward)> after;
};

class Llama : public torch::nn::Module, public LanguageModel {
 public:
  // Parameters are uninitialised: load_llama or the caller fills them.
  explicit Llama(const LlamaConfig& config, at::TensorOptions options = {});
  const LlamaConfig& config() const { return config_; }

  // Inference, in the parameters' type.
  at::Tensor forward(const at::Tensor& ids, KeyValueCache& cache, const at::Tensor& vectors = {}) override;
  // Training: ids int64 [total], sequences packed one behind another; lengths say where each ends and no attention
  // crosses them. -> hidden states [total, hidden_size] after the final norm. With `checkpointing`, activations
  // inside each layer are recomputed in the backward pass. `tap`, if any, is shown what each layer gives
  // [total, hidden_size]. `vectors`: as in forward; they get their gradient.
  at::Tensor forward_packed(const at::Tensor& ids, const std::vector<int64_t>& lengths, bool checkpointing = false,
                            const std::function<void(int64_t layer, const at::Tensor& x)>& tap = {},
                            const at::Tensor& vectors = {});
  void set_layer_use(LayerUse use) { use_ = std::move(use); }
  at::Tensor logits(const at::Tensor& hidden) override;
  // The output head's weight [vocab_size, hidden_size] (the embedding when tied).
  const at::Tensor& head() const;
  const at::Tensor& embedding() const;

  // Every parameter under its Hugging Face name, in the order in which directories list them.
  std::vector<std::pair<std::string, at::Tensor>> hugging_face_parameters() const;

 private:
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& vectors) const;

  struct Layer;
  struct LayerCall;
  class NestedLayer;
  LlamaConfig config_;
  std::vector<std::shared_ptr<Layer>> layers_;
  at::Tensor embed_, norm_, head_;
  RotaryTable rotary_;
  std::vector<std::shared_ptr<LayerCall>> calls_;  // of layers with a backward pass of their own: alive until then
  LayerUse use_;
};

constexpr const char* kEmbeddingName = "model.embed_tokens.weight";
// Whether a tensor of this (Hugging Face) name is the embedding or the head, whose rows belong to tokens.
bool is_embedding(const std::string& name);
// The layer that a tensor of this name belongs to; -1: none.
int64_t layer_of(const std::string& name);
// All weights of a model of this configuration, in its order, to be read one by one; names and shapes are checked now.
// Throws Error naming a missing, misshapen or unknown one.
std::vector<TensorToWrite> llama_tensors(const LlamaConfig& config, const WeightFile& weights);

// Loads the weights (names as in Hugging Face directories) with their shapes checked, converted to `dtype`.
std::shared_ptr<Llama> load_llama(const LlamaConfig& config, const WeightFile& weights, at::ScalarType dtype,
                                  at::Device device = at::kCPU);

}  // namespace ichigo
