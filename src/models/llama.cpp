#include "models/llama.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "nn/packed_attention.h"
#include "nn/rms_norm.h"
#include "nn/swiglu.h"

namespace ichigo {

struct Llama::Layer : torch::nn::Module {
  Layer(const LlamaConfig& config, at::TensorOptions options) : config(config) {
    const int64_t query_size = config.num_attention_heads * config.head_dim;
    const int64_t kv_size = config.num_key_value_heads * config.head_dim;
    auto add = [&](const char* name, at::IntArrayRef shape) {
      return register_parameter(name, at::empty(shape, options));
    };
    // A module's parameter names cannot hold dots: hugging_face_parameters() gives the published names.
    input_norm = add("input_layernorm", {config.hidden_size});
    q = add("q_proj", {query_size, config.hidden_size});
    k = add("k_proj", {kv_size, config.hidden_size});
    v = add("v_proj", {kv_size, config.hidden_size});
    if (config.attention_bias) {
      q_bias = add("q_proj_bias", {query_size});
      k_bias = add("k_proj_bias", {kv_size});
      v_bias = add("v_proj_bias", {kv_size});
    }
    o = add("o_proj", {config.hidden_size, query_size});
    post_norm = add("post_attention_layernorm", {config.hidden_size});
    gate = add("gate_proj", {config.intermediate_size, config.hidden_size});
    up = add("up_proj", {config.intermediate_size, config.hidden_size});
    down = add("down_proj", {config.hidden_size, config.intermediate_size});
  }

  // attend(query, key, value) -> [time, heads * head_dim]
  template <typename Attend>
  at::Tensor forward(const at::Tensor& x, const Attend& attend) {
    const at::Tensor normed = rms_norm(x, input_norm, config.rms_norm_eps);
    const at::Tensor attended =
        attend(at::linear(normed, q, q_bias), at::linear(normed, k, k_bias), at::linear(normed, v, v_bias));
    const at::Tensor middle = x + at::linear(attended, o);
    const at::Tensor post = rms_norm(middle, post_norm, config.rms_norm_eps);
    return middle + at::linear(swiglu(at::linear(post, gate), at::linear(post, up)), down);
  }

  LlamaConfig config;
  at::Tensor input_norm, q, k, v, o, post_norm, gate, up, down;
  at::Tensor q_bias, k_bias, v_bias;
};

struct Llama::LayerCall {
  std::function<at::Tensor(const at::Tensor&)> compute;
  int64_t layer = 0;
  bool recompute = false;
  const LayerUse& use;
  at::Tensor input, output;  // with the graph between them, unless it is computed again
};

// A layer whose graph is its own: its backward pass begins and ends at one place. With `recompute` it is forgotten and
// computed again for its gradient (Chen et al. 2016).
class Llama::NestedLayer : public torch::autograd::Function<NestedLayer> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, LayerCall* call) {
    context->saved_data["call"] = reinterpret_cast<int64_t>(call);
    if (call->use.before) call->use.before(call->layer);
    at::Tensor output;
    if (call->recompute) {
      context->save_for_backward({x});
      output = call->compute(x);
    } else {
      const at::AutoGradMode with_grad(true);
      call->input = x.detach().requires_grad_(true);
      call->output = call->compute(call->input);
      output = call->output.detach();
    }
    if (call->use.after) call->use.after(call->layer, false);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    auto* call = reinterpret_cast<LayerCall*>(context->saved_data["call"].toInt());
    if (call->use.before) call->use.before(call->layer);
    at::Tensor input = std::move(call->input), output = std::move(call->output);
    if (call->recompute) {
      const at::AutoGradMode with_grad(true);
      input = context->get_saved_variables()[0].detach().requires_grad_(true);
      output = call->compute(input);
    }
    torch::autograd::backward({output}, {gradients[0]});
    output.reset();
    if (call->use.after) call->use.after(call->layer, true);
    return {input.grad(), at::Tensor()};
  }
};

Llama::Llama(const LlamaConfig& config, at::TensorOptions options)
    : config_(config), rotary_(config.head_dim, config.rope_theta, config.rope_scaling) {
  config.validate();
  embed_ = register_parameter("embed_tokens", at::empty({config.vocab_size, config.hidden_size}, options));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.push_back(register_module(concat("layers_", i), std::make_shared<Layer>(config, options)));
  }
  norm_ = register_parameter("norm", at::empty({config.hidden_size}, options));
  if (!config.tie_word_embeddings) {
    head_ = register_parameter("lm_head", at::empty({config.vocab_size, config.hidden_size}, options));
  }
}

const at::Tensor& Llama::head() const {
  return head_.defined() ? head_ : embed_;
}
const at::Tensor& Llama::embedding() const {
  return embed_;
}

at::Tensor Llama::embed(const at::Tensor& ids, const at::Tensor& vectors) const {
  if (!vectors.defined()) return at::embedding(embed_, ids);
  const at::Tensor places = at::nonzero(ids < 0).view(-1);
  const at::Tensor rows = -1 - ids.index_select(0, places);  // vector_id
  return at::embedding(embed_, ids.clamp_min(0))
      .index_copy(0, places, vectors.index_select(0, rows).to(embed_.scalar_type()));
}

at::Tensor Llama::forward(const at::Tensor& ids, KeyValueCache& cache, const at::Tensor& vectors) {
  const at::NoGradGuard no_grad;
  const int64_t time = ids.size(0);
  const int64_t offset = cache.length_;
  require(offset + time <= config_.max_position_embeddings, "the context is full: ", offset + time,
          " tokens, but the model holds ", config_.max_position_embeddings);
  rotary_.reserve(offset + time, ids.device());
  cache.layers_.resize(layers_.size());
  const int64_t dim = config_.head_dim;
  at::Tensor x = embed(ids, vectors);
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i]->forward(x, [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
      cache.layers_[i].write(rotate_positions(k.view({time, -1, dim}), rotary_, offset), v.view({time, -1, dim}),
                             offset);
      return cached_attention(rotate_positions(q.view({time, -1, dim}), rotary_, offset), cache.layers_[i], offset);
    });
  }
  cache.length_ = offset + time;
  return rms_norm(x, norm_, config_.rms_norm_eps);
}

at::Tensor Llama::forward_packed(const at::Tensor& ids, const std::vector<int64_t>& lengths, bool checkpointing,
                                 const std::function<void(int64_t layer, const at::Tensor& x)>& tap,
                                 const at::Tensor& vectors) {
  const auto sequences = std::make_shared<const PackedSequences>(lengths, ids.device());
  require(sequences->longest <= config_.max_position_embeddings, "a sequence of ", sequences->longest,
          " tokens does not fit the model's ", config_.max_position_embeddings, " positions");
  rotary_.reserve(sequences->longest, ids.device());
  at::Tensor x = embed(ids, vectors);
  for (const auto& layer : layers_) {
    auto call = [&layer, this, sequences](const at::Tensor& input) {
      return layer->forward(input, [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        return packed_attention(q, k, v, *sequences, config_.head_dim, rotary_);
      });
    };
    const int64_t index = &layer - layers_.data();
    if ((checkpointing || use_.before) && at::GradMode::is_enabled()) {
      calls_.resize(layers_.size());
      calls_[index] = std::make_shared<LayerCall>(LayerCall{call, index, checkpointing, use_, {}, {}});
      x = NestedLayer::apply(x, calls_[index].get());
    } else {
      if (use_.before) use_.before(index);
      x = call(x);
      if (use_.after) use_.after(index, false);
    }
    if (tap) tap(index, x);
  }
  return rms_norm(x, norm_, config_.rms_norm_eps);
}

at::Tensor Llama::logits(const at::Tensor& hidden) {
  return at::linear(hidden, head()).to(at::kFloat);
}

std::vector<std::pair<std::string, at::Tensor>> Llama::hugging_face_parameters() const {
  std::vector<std::pair<std::string, at::Tensor>> named;
  named.emplace_back(kEmbeddingName, embed_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const std::string prefix = concat("model.layers.", i, ".");
    const Layer& layer = *layers_[i];
    named.emplace_back(prefix + "input_layernorm.weight", layer.input_norm);
    named.emplace_back(prefix + "self_attn.q_proj.weight", layer.q);
    named.emplace_back(prefix + "self_attn.k_proj.weight", layer.k);
    named.emplace_back(prefix + "self_attn.v_proj.weight", layer.v);
    if (config_.attention_bias) {
      named.emplace_back(prefix + "self_attn.q_proj.bias", layer.q_bias);
      named.emplace_back(prefix + "self_attn.k_proj.bias", layer.k_bias);
      named.emplace_back(prefix + "self_attn.v_proj.bias", layer.v_bias);
    }
    named.emplace_back(prefix + "self_attn.o_proj.weight", layer.o);
    named.emplace_back(prefix + "post_attention_layernorm.weight", layer.post_norm);
    named.emplace_back(prefix + "mlp.gate_proj.weight", layer.gate);
    named.emplace_back(prefix + "mlp.up_proj.weight", layer.up);
    named.emplace_back(prefix + "mlp.down_proj.weight", layer.down);
  }
  named.emplace_back("model.norm.weight", norm_);
  if (head_.defined()) named.emplace_back("lm_head.weight", head_);
  return named;
}

bool is_embedding(const std::string& name) {
  return name == kEmbeddingName || name == "lm_head.weight";
}

int64_t layer_of(const std::string& name) {
  const std::string prefix = "model.layers.";
  return name.starts_with(prefix) ? std::stoll(name.substr(prefix.size())) : -1;
}

std::vector<TensorToWrite> llama_tensors(const LlamaConfig& config, const WeightFile& weights) {
  const std::string where = weights.path().string();
  const auto& stored = weights.tensors();
  require(config.num_hidden_layers <= static_cast<int64_t>(stored.size()), where, ": ", stored.size(),
          " tensors are too few for ", config.num_hidden_layers, " layers");
  std::vector<TensorToWrite> tensors;
  std::set<std::string> known;
  for (const auto& [name, parameter] : Llama(config, at::TensorOptions().device(at::kMeta)).hugging_face_parameters()) {
    const auto found = stored.find(name);
    require(found != stored.end(), where, ": the model's weight ", name, " is missing");
    require(parameter.sizes() == at::IntArrayRef(found->second.shape), where, ": ", name, " has the shape ",
            at::IntArrayRef(found->second.shape), ", but the model's configuration asks for ", parameter.sizes());
    known.insert(name);
    tensors.emplace_back(name, parameter.sizes().vec(), parameter.scalar_type(), std::nullopt,
                         [&weights, name = name] { return weights.load(name); });
  }
  for (const auto& [name, info] : stored) {
    // What may be left out: tables that are computed, and the copy of a tied embedding.
    const bool spare = name.ends_with(".rotary_emb.inv_freq") || (config.tie_word_embeddings && is_embedding(name));
    require(known.contains(name) || spare, where, ": the tensor ", name,
            " is none of the model that its configuration describes, which would not compute what it was trained for");
  }
  return tensors;
}

std::shared_ptr<Llama> load_llama(const LlamaConfig& config, const WeightFile& weights, at::ScalarType dtype,
                                  at::Device device) {
  llama_tensors(config, weights);  // checks them before memory is taken
  auto model = std::make_shared<Llama>(config, at::TensorOptions().dtype(dtype).device(device));
  const at::NoGradGuard no_grad;
  // While a tensor is copied it is there twice: the largest come first, when the others take no memory yet.
  auto parameters = model->hugging_face_parameters();
  std::ranges::stable_sort(parameters, std::greater(), [](const auto& item) { return item.second.numel(); });
  for (auto& [name, parameter] : parameters) {
    parameter.set_requires_grad(false);
    parameter.copy_(weights.load_as(name, dtype));
    weights.release(name);  // else a model would take its size twice
  }
  model->eval();
  return model;
}

}  // namespace ichigo
