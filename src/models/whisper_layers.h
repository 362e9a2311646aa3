// Building blocks that Whisper and WhisperVQ share, under openai-whisper's parameter names. Internal to models/.
// Weights are cast to the type of what flows through, so that float32 parameters can be trained in bfloat16.
#pragma once
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/packed_matrix.h"

namespace ichigo::whisper {

// y = x W^T + b. Parameters are uninitialised.
struct Linear : torch::nn::Module {
  Linear(int64_t in, int64_t out, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor weight, bias;
  std::optional<PackedMatrix> packed;  // by pack_for_inference, in the weight's place
};

// eps 1e-5; libtorch keeps the statistics of bfloat16 input in float32.
struct LayerNorm : torch::nn::Module {
  explicit LayerNorm(int64_t width);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor weight, bias;
};

// Kernel 3, padding 1: [batch, in, time] -> [batch, out, (time - 1) / stride + 1].
struct Conv1d : torch::nn::Module {
  Conv1d(int64_t in, int64_t out, int64_t stride);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor weight, bias;
  int64_t stride;
  std::optional<PackedMatrix> packed;  // [out, in * 3]
};

struct Embedding : torch::nn::Module {
  Embedding(int64_t rows, int64_t width);
  at::Tensor weight;
};

// Linear, GELU by the error function, Linear; the names are "0" and "2".
struct Mlp : torch::nn::Module {
  Mlp(int64_t width, int64_t hidden);
  at::Tensor forward(const at::Tensor& x) const { return second->forward(at::gelu(first->forward(x))); }
  std::shared_ptr<Linear> first, second;
};

// Projections of multi-head attention; the key has no bias.
struct Attention : torch::nn::Module {
  Attention(int64_t width, int64_t heads);
  // [batch, time, width] -> [batch, heads, time, width / heads], a view.
  at::Tensor split(const at::Tensor& x) const;
  // Softmax attention and the output projection: -> [batch, time, width]. Scale: 1 / sqrt(head width) unless given.
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal = false,
                    const std::optional<at::Tensor>& mask = {}, std::optional<double> scale = {}) const;
  int64_t heads;
  std::shared_ptr<Linear> query, key, value, out;
};

// One pre-norm block's modules: attn, attn_ln, (cross_attn, cross_attn_ln), mlp, mlp_ln.
struct Block : torch::nn::Module {
  Block(int64_t width, int64_t heads, int64_t hidden, bool cross_attention);
  at::Tensor add_mlp(const at::Tensor& x) const { return x + mlp->forward(mlp_ln->forward(x)); }
  std::shared_ptr<Attention> attn, cross_attn;
  std::shared_ptr<LayerNorm> attn_ln, cross_attn_ln, mlp_ln;
  std::shared_ptr<Mlp> mlp;
};

// A list of modules registered as "0", "1"...
template <typename T>
struct List : torch::nn::Module {
  T& add(std::shared_ptr<T> item) {
    items.push_back(register_module(std::to_string(items.size()), std::move(item)));
    return *items.back();
  }
  std::vector<std::shared_ptr<T>> items;
};

// From now on the module is for inference on the processor: products are those of nn/packed_matrix in `type`, faster
// than libtorch's for few frames above all. The packed weights cannot be trained or saved any more.
void pack_for_inference(torch::nn::Module& module, MatrixType type);

// Whisper's fixed positions: float32 [length, channels], sines then cosines.
at::Tensor sinusoids(int64_t length, int64_t channels);

// What a file says about one parameter: its tensor, of any type, or an error that names what is missing.
using FetchTensor = std::function<at::Tensor(const std::string& name)>;
// Replaces every parameter and buffer of `module` by fetch(prefix + its name), converted to `dtype` (buffers: float32).
// Throws Error naming file, tensor and both shapes when a shape is not the module's.
void load_parameters(torch::nn::Module& module, const std::string& prefix, const std::string& file,
                     at::ScalarType dtype, const FetchTensor& fetch);

}  // namespace ichigo::whisper
