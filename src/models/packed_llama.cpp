#include "models/packed_llama.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/rows.h"
#include "text/sound_vocabulary.h"

namespace ichigo {
namespace {

constexpr int64_t kMostTokens = 256;  // of one pass through the layers: what bounds the memory of activations

std::vector<float> load_vector(const WeightFile& weights, const std::string& name) {
  const at::Tensor values = weights.load_as(name, at::kFloat).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

// Calls body(row) for all rows, on all threads when there are many.
template <typename Body>
void each_row(int64_t count, const Body& body) {
  rows::parallel(count, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) body(row);
  });
}

void normalize(const std::vector<float>& x, const std::vector<float>& weight, int64_t time, double epsilon,
               std::vector<float>& y) {
  const auto width = static_cast<int64_t>(weight.size());
  y.resize(static_cast<size_t>(time * width));
  each_row(time, [&](int64_t t) {
    kernels::rms_norm(x.data() + t * width, weight.data(), width, static_cast<float>(epsilon), y.data() + t * width);
  });
}

// Matrices with the same input that are multiplied at once.
class Loader {
 public:
  Loader(const WeightFile& weights, const std::optional<MatrixType>& type) : weights_(weights), type_(type) {}
  PackedMatrix operator()(const std::vector<std::string>& names) const {
    std::vector<MatrixRows> parts;
    for (const auto& name : names) parts.push_back(weights_.matrix_rows(name));
    // The finest of the parts' own types: MatrixType goes from fine to coarse.
    MatrixType natural = natural_type(parts.front().blocks);
    for (const auto& part : parts) natural = std::min(natural, natural_type(part.blocks));
    PackedMatrix matrix(parts, type_.value_or(natural));
    for (const auto& name : names) weights_.release(name);
    return matrix;
  }

 private:
  const WeightFile& weights_;
  std::optional<MatrixType> type_;
};

}  // namespace

PackedTypes PackedTypes::parse(const std::string& name) {
  if (name == "auto") return {};
  for (const MatrixType type : {MatrixType::kFloat32, MatrixType::kBFloat16, MatrixType::kQ8_0, MatrixType::kQ4_0}) {
    if (name == name_of(type)) return {type, type == MatrixType::kQ4_0 ? MatrixType::kQ8_0 : type};
  }
  fail("unknown type of weights \"", name, "\": use auto, float32, bfloat16, q8_0 or q4_0");
}

PackedLlama::PackedLlama(const LlamaConfig& config, const WeightFile& weights, const PackedTypes& types)
    : config_(config), rotary_(config.head_dim, config.rope_theta, config.rope_scaling) {
  config.validate();
  llama_tensors(config, weights);  // checks them before memory is taken
  const Loader embedding(weights, types.embedding), matrix(weights, types.matrices);
  embedding_ = embedding({kEmbeddingName});
  if (!config.tie_word_embeddings) head_ = embedding({"lm_head.weight"});
  norm_ = load_vector(weights, "model.norm.weight");
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string prefix = concat("model.layers.", i, ".");
    const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
    Layer& layer = layers_.emplace_back();
    layer.qkv = matrix({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"});
    layer.output = matrix({attention + "o_proj.weight"});
    layer.gate_up = matrix({mlp + "gate_proj.weight", mlp + "up_proj.weight"});
    layer.down = matrix({mlp + "down_proj.weight"});
    layer.input_norm = load_vector(weights, prefix + "input_layernorm.weight");
    layer.post_norm = load_vector(weights, prefix + "post_attention_layernorm.weight");
    if (!config.attention_bias) continue;
    for (const char* part : {"q_proj.bias", "k_proj.bias", "v_proj.bias"}) {
      const auto bias = load_vector(weights, attention + part);
      layer.qkv_bias.insert(layer.qkv_bias.end(), bias.begin(), bias.end());
    }
  }
}

int64_t PackedLlama::weight_bytes() const {
  int64_t bytes = head_.rows() > 0 ? head_.bytes() : embedding_.bytes();
  for (const Layer& layer : layers_) {
    bytes += layer.qkv.bytes() + layer.output.bytes() + layer.gate_up.bytes() + layer.down.bytes();
  }
  return bytes;
}

at::Tensor PackedLlama::forward(const at::Tensor& ids, KeyValueCache& cache, const at::Tensor& vectors) {
  const int64_t time = ids.size(0), width = config_.hidden_size, offset = cache.length_;
  require(offset + time <= config_.max_position_embeddings, "the context is full: ", offset + time,
          " tokens, but the model holds ", config_.max_position_embeddings);
  rotary_.reserve(offset + time, at::kCPU);
  cache.float_layers_.resize(layers_.size());
  at::Tensor hidden = at::empty({time, width}, at::kFloat);
  const at::Tensor tokens = ids.contiguous();
  const at::Tensor given = vectors.defined() ? vectors.to(at::kFloat).contiguous() : at::empty({0, width}, at::kFloat);
  require(given.dim() == 2 && given.size(1) == width, "vectors of shape ", given.sizes(), " were given to a model of ",
          width);
  for (int64_t begin = 0; begin < time; begin += kMostTokens) {
    const int64_t count = std::min(kMostTokens, time - begin);
    x_.resize(static_cast<size_t>(count * width));
    for (int64_t t = 0; t < count; ++t) {
      const int64_t id = tokens.const_data_ptr<int64_t>()[begin + t];
      if (id < 0 && vector_id(id) < given.size(0)) {
        std::copy_n(given.const_data_ptr<float>() + vector_id(id) * width, width, x_.data() + t * width);
        continue;
      }
      require(id >= 0 && id < config_.vocab_size, "the token ", id, " is none of the vocabulary's ", config_.vocab_size,
              id < 0 ? ", and no vector was given for it" : "");
      embedding_.read_row(id, x_.data() + t * width);
    }
    run(count, offset + begin, cache);
    std::copy_n(normed_.data(), count * width, hidden.data_ptr<float>() + begin * width);
  }
  cache.length_ = offset + time;
  return hidden;
}

void PackedLlama::run(int64_t time, int64_t offset, KeyValueCache& cache) {
  const int64_t width = config_.hidden_size, inner = config_.intermediate_size;
  gate_up_.resize(static_cast<size_t>(time * 2 * inner));
  middle_.resize(static_cast<size_t>(time * inner));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    normalize(x_, layer.input_norm, time, config_.rms_norm_eps, normed_);
    attend(layer, time, offset, cache.float_layers_[i]);
    normalize(x_, layer.post_norm, time, config_.rms_norm_eps, normed_);
    vectors_.assign(normed_.data(), time, width, layer.gate_up.type());
    layer.gate_up.multiply(vectors_, gate_up_.data());
    each_row(time, [&](int64_t t) {
      const float* gate = gate_up_.data() + t * 2 * inner;
      kernels::swiglu(gate, gate + inner, inner, middle_.data() + t * inner);
    });
    vectors_.assign(middle_.data(), time, inner, layer.down.type());
    layer.down.multiply(vectors_, x_.data(), true);
  }
  normalize(x_, norm_, time, config_.rms_norm_eps, normed_);
}

// x_ += output(attention(qkv(normed_)))
void PackedLlama::attend(const Layer& layer, int64_t time, int64_t offset, FloatLayerCache& cache) {
  const int64_t dim = config_.head_dim, half = dim / 2, heads = config_.num_attention_heads;
  const int64_t query = heads * dim, kv = config_.num_key_value_heads * dim, all = query + 2 * kv;
  qkv_.resize(static_cast<size_t>(time * all));
  attended_.resize(static_cast<size_t>(time * query));
  vectors_.assign(normed_.data(), time, config_.hidden_size, layer.qkv.type());
  layer.qkv.multiply(vectors_, qkv_.data());
  cache.reserve(offset + time, config_.num_key_value_heads, dim);
  const float* cosine = rotary_.cosine().const_data_ptr<float>();
  const float* sine = rotary_.sine().const_data_ptr<float>();
  each_row(time, [&](int64_t t) {
    float* row = qkv_.data() + t * all;
    for (size_t i = 0; i < layer.qkv_bias.size(); ++i) row[i] += layer.qkv_bias[i];
    const int64_t angle = (offset + t) * half;
    for (int64_t at = 0; at < query + kv; at += dim) {
      kernels::rotate(row + at, cosine + angle, sine + angle, half, 1.0F, row + at);
    }
    cache.write(offset + t, row + query, row + query + kv);
  });
  float_attention(qkv_.data(), all, time, heads, offset, cache, attended_.data());
  vectors_.assign(attended_.data(), time, query, layer.output.type());
  layer.output.multiply(vectors_, x_.data(), true);
}

at::Tensor PackedLlama::logits(const at::Tensor& hidden) {
  const at::Tensor states = hidden.to(at::kFloat).contiguous();
  const PackedMatrix& matrix = head_.rows() > 0 ? head_ : embedding_;
  const int64_t count = states.numel() / config_.hidden_size;
  PackedVectors vectors;
  vectors.assign(states.const_data_ptr<float>(), count, config_.hidden_size, matrix.type());
  auto shape = states.sizes().vec();
  shape.back() = config_.vocab_size;
  at::Tensor scores = at::empty(shape, at::kFloat);
  matrix.multiply(vectors, scores.data_ptr<float>());
  return scores;
}

}  // namespace ichigo
