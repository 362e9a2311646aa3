// Building blocks that Whisper and WhisperVQ share (openai-whisper model.py; WhisperSpeech modules.py).
#include "models/whisper_layers.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace ichigo::whisper {

namespace {

at::Tensor cast_like(const at::Tensor& weight, const at::Tensor& x) {
  return weight.defined() && weight.scalar_type() != x.scalar_type() ? weight.to(x.scalar_type()) : weight;
}

at::Tensor multiply(const PackedMatrix& matrix, const at::Tensor& x, const at::Tensor& bias) {
  const at::Tensor rows = x.to(at::kFloat).contiguous().view({-1, matrix.columns()});
  at::Tensor product = at::empty({rows.size(0), matrix.rows()}, at::kFloat);
  if (bias.defined()) product.copy_(bias.to(at::kFloat).expand_as(product));
  PackedVectors vectors;
  vectors.assign(rows.const_data_ptr<float>(), rows.size(0), matrix.columns(), matrix.type());
  matrix.multiply(vectors, product.data_ptr<float>(), bias.defined());
  auto shape = x.sizes().vec();
  shape.back() = matrix.rows();
  return product.view(shape).to(x.scalar_type());
}

// Plain matrix products over blocks of queries, whose scores stay in the cache: on processors that multiply bfloat16
// fast this takes less than half the time of libtorch's fused attention.
at::Tensor attend_by_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale) {
  constexpr int64_t kQueries = 256;
  const at::Tensor keys = k.contiguous().transpose(2, 3), values = v.contiguous();
  std::vector<at::Tensor> blocks;
  for (const at::Tensor& queries : (q * scale).contiguous().split(kQueries, 2)) {
    blocks.push_back(at::matmul(at::matmul(queries, keys).softmax(-1), values));
  }
  return at::cat(blocks, 2);
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool with_bias) : weight(register_parameter("weight", at::empty({out, in}))) {
  if (with_bias) bias = register_parameter("bias", at::empty({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  if (packed) return multiply(*packed, x, bias);
  return bias.defined() ? at::linear(x, cast_like(weight, x), cast_like(bias, x)) : at::linear(x, cast_like(weight, x));
}

LayerNorm::LayerNorm(int64_t width)
    : weight(register_parameter("weight", at::ones({width}))), bias(register_parameter("bias", at::zeros({width}))) {}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), cast_like(weight, x), cast_like(bias, x), 1e-5);
}

Conv1d::Conv1d(int64_t in, int64_t out, int64_t stride)
    : weight(register_parameter("weight", at::empty({out, in, 3}))),
      bias(register_parameter("bias", at::empty({out}))),
      stride(stride) {}

at::Tensor Conv1d::forward(const at::Tensor& x) const {
  if (packed) {
    // The three frames that each output frame sees, side by side: [batch, time, in * 3].
    const at::Tensor seen = at::constant_pad_nd(x, {1, 1}).unfold(2, 3, stride).transpose(1, 2).flatten(2);
    return multiply(*packed, seen, bias).transpose(1, 2);
  }
  return at::conv1d(x, cast_like(weight, x), cast_like(bias, x), stride, /*padding=*/1);
}

Embedding::Embedding(int64_t rows, int64_t width) : weight(register_parameter("weight", at::empty({rows, width}))) {}

Mlp::Mlp(int64_t width, int64_t hidden)
    : first(register_module("0", std::make_shared<Linear>(width, hidden))),
      second(register_module("2", std::make_shared<Linear>(hidden, width))) {}

Attention::Attention(int64_t width, int64_t heads)
    : heads(heads),
      query(register_module("query", std::make_shared<Linear>(width, width))),
      key(register_module("key", std::make_shared<Linear>(width, width, false))),
      value(register_module("value", std::make_shared<Linear>(width, width))),
      out(register_module("out", std::make_shared<Linear>(width, width))) {}

at::Tensor Attention::split(const at::Tensor& x) const {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

at::Tensor Attention::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                             const std::optional<at::Tensor>& mask, std::optional<double> scale) const {
  const double factor = scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  const bool by_products = q.scalar_type() == at::kBFloat16 && q.is_cpu() && q.size(2) > 64 && !causal && !mask &&
                           !at::GradMode::is_enabled();
  const at::Tensor mixed = by_products ? attend_by_products(q, k, v, factor)
                                       : at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, factor);
  return out->forward(mixed.transpose(1, 2).flatten(2));
}

Block::Block(int64_t width, int64_t heads, int64_t hidden, bool cross_attention)
    : attn(register_module("attn", std::make_shared<Attention>(width, heads))),
      attn_ln(register_module("attn_ln", std::make_shared<LayerNorm>(width))),
      mlp_ln(register_module("mlp_ln", std::make_shared<LayerNorm>(width))),
      mlp(register_module("mlp", std::make_shared<Mlp>(width, hidden))) {
  if (cross_attention) {
    cross_attn = register_module("cross_attn", std::make_shared<Attention>(width, heads));
    cross_attn_ln = register_module("cross_attn_ln", std::make_shared<LayerNorm>(width));
  }
}

void pack_for_inference(torch::nn::Module& module, MatrixType type) {
  const at::NoGradGuard no_grad;
  const auto pack = [type](at::Tensor& weight, std::optional<PackedMatrix>& packed) {
    packed.emplace(std::vector<MatrixRows>{rows_of(weight.detach().flatten(1))}, type);
    weight.set_data(at::empty({0}, weight.options()));
  };
  for (const auto& part : module.modules()) {
    if (auto* linear = dynamic_cast<Linear*>(part.get())) pack(linear->weight, linear->packed);
    if (auto* convolution = dynamic_cast<Conv1d*>(part.get())) pack(convolution->weight, convolution->packed);
  }
}

at::Tensor sinusoids(int64_t length, int64_t channels) {
  const double step = std::log(10000.0) / static_cast<double>(channels / 2 - 1);
  const at::Tensor rates = at::exp(at::arange(channels / 2, at::kFloat) * -step);
  const at::Tensor angles = at::arange(length, at::kFloat).unsqueeze(1) * rates.unsqueeze(0);
  return at::cat({angles.sin(), angles.cos()}, 1);
}

void load_parameters(torch::nn::Module& module, const std::string& prefix, const std::string& file,
                     at::ScalarType dtype, const FetchTensor& fetch) {
  const at::NoGradGuard no_grad;
  auto load = [&](const std::string& name, at::Tensor& target, at::ScalarType type) {
    const at::Tensor source = fetch(prefix + name);
    require(source.sizes() == target.sizes(), file, ": tensor ", prefix, name, " has shape ", source.sizes(), " where ",
            target.sizes(), " was expected");
    target.set_data(at::empty(target.sizes(), type).copy_(source));
  };
  for (auto& parameter : module.named_parameters()) load(parameter.key(), parameter.value(), dtype);
  for (auto& buffer : module.named_buffers()) load(buffer.key(), buffer.value(), at::kFloat);
}

}  // namespace ichigo::whisper
