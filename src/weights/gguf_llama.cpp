// A Llama GGUF under Hugging Face's names. llama.cpp's converter permutes the rows of q and k so that the two halves
// of a rotary pair lie side by side; Hugging Face keeps them half a head apart.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "weights/gguf.h"

namespace ichigo {
namespace {

using nlohmann::json;

const std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attn_norm", "input_layernorm"}, {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},   {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"}};

// Throws Error for a name that Llama does not have.
std::string hugging_face_name(const std::string& name) {
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  if (name == "output.weight") return "lm_head.weight";
  if (name == "rope_freqs.weight") return "rope_freqs";
  if (name.starts_with("blk.")) {
    const auto layer = name.find('.', 4);
    const auto part = layer == std::string::npos ? layer : name.find('.', layer + 1);
    if (part != std::string::npos) {
      const std::string_view inner = std::string_view(name).substr(layer + 1, part - layer - 1);
      for (const auto& [from, to] : kLayerNames) {
        if (inner == from) return "model.layers." + name.substr(4, layer - 3) + std::string(to) + name.substr(part);
      }
    }
  }
  fail("the GGUF tensor \"", name, "\" does not belong to a Llama model");
}

class LlamaGguf : public WeightFile {
 public:
  explicit LlamaGguf(std::unique_ptr<GgufFile> file) : file_(std::move(file)), config_(gguf_llama_config(*file_)) {
    for (const auto& [name, info] : file_->tensors()) {
      const auto renamed = hugging_face_name(name);
      names_[renamed] = name;
      tensors_[renamed] = info;
      if (const auto heads = permuted_heads(name)) {
        require(info.shape[0] % (2 * heads) == 0, path().string(), ": tensor \"", name, "\" has ", info.shape[0],
                " rows, which ", heads, " heads cannot share");
      }
    }
  }
  const std::filesystem::path& path() const override { return file_->path(); }
  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor load(const std::string& name) const override { return arrange(name, file_->load(original(name))); }
  at::Tensor load_as(const std::string& name, at::ScalarType dtype) const override {
    return arrange(name, file_->load_as(original(name), dtype));
  }

 private:
  const std::string& original(const std::string& name) const {
    const auto found = names_.find(name);
    require(found != names_.end(), path().string(), " has no tensor for \"", name, "\"");
    return found->second;
  }
  // 0 for a tensor that is not permuted.
  int64_t permuted_heads(const std::string& original) const {
    if (original.find(".attn_q.") != std::string::npos) return config_["num_attention_heads"].get<int64_t>();
    if (original.find(".attn_k.") != std::string::npos) return config_["num_key_value_heads"].get<int64_t>();
    return 0;
  }
  at::Tensor arrange(const std::string& name, const at::Tensor& tensor) const {
    const int64_t heads = permuted_heads(original(name));
    if (heads == 0) return tensor;
    const int64_t half = tensor.size(0) / heads / 2;
    return tensor.reshape({heads, half, 2, -1}).transpose(1, 2).reshape(tensor.sizes());
  }

  std::unique_ptr<GgufFile> file_;
  json config_;
  std::map<std::string, std::string> names_;
  std::map<std::string, TensorInfo> tensors_;
};

class Metadata {
 public:
  explicit Metadata(const GgufFile& file) : file_(file) {}
  const json* find(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? nullptr : &*found;
  }
  int64_t positive(const std::string& key, std::optional<int64_t> otherwise = {}) const {
    const json* value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    require(value != nullptr && value->is_number_integer() && *value > 0 && *value <= 1 << 30, file_.path().string(),
            ": the metadata key \"", key, "\" must be a positive whole number");
    return value->get<int64_t>();
  }
  double number(const std::string& key, double otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    require(value->is_number(), file_.path().string(), ": the metadata key \"", key, "\" must be a number");
    return value->get<double>();
  }

 private:
  const GgufFile& file_;
};

json rope_scaling(const Metadata& metadata, const GgufFile& file) {
  const json* type = metadata.find("llama.rope.scaling.type");
  if (type == nullptr || *type == "none") return nullptr;
  require(*type == "linear", file.path().string(), ": the RoPE scaling ", type->dump(), " is not supported");
  return {{"rope_type", "linear"}, {"factor", metadata.number("llama.rope.scaling.factor", 1.0)}};
}

}  // namespace

json gguf_llama_config(const GgufFile& file) {
  const Metadata metadata(file);
  const json* architecture = metadata.find("general.architecture");
  require(architecture != nullptr && *architecture == "llama", file.path().string(), " holds the architecture ",
          architecture == nullptr ? "(none)" : architecture->dump(), ", not \"llama\"");
  const int64_t hidden = metadata.positive("llama.embedding_length");
  const int64_t heads = metadata.positive("llama.attention.head_count");
  const auto embedding = file.tensors().find("token_embd.weight");
  require(embedding != file.tensors().end() && embedding->second.shape.size() == 2, file.path().string(),
          " has no tensor \"token_embd.weight\" of two dimensions");
  json config = {{"architectures", json::array({"LlamaForCausalLM"})},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"hidden_size", hidden},
                 {"intermediate_size", metadata.positive("llama.feed_forward_length")},
                 {"num_hidden_layers", metadata.positive("llama.block_count")},
                 {"num_attention_heads", heads},
                 {"num_key_value_heads", metadata.positive("llama.attention.head_count_kv", heads)},
                 {"head_dim", metadata.positive("llama.attention.key_length", hidden / heads)},
                 {"rms_norm_eps", metadata.number("llama.attention.layer_norm_rms_epsilon", 1e-5)},
                 {"rope_theta", metadata.number("llama.rope.freq_base", 10000.0)},
                 {"rope_scaling", rope_scaling(metadata, file)},
                 {"max_position_embeddings", metadata.positive("llama.context_length")},
                 {"vocab_size", embedding->second.shape[0]},
                 {"tie_word_embeddings", !file.contains("output.weight")}};
  for (const auto& [key, name] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                  std::pair{"tokenizer.ggml.eos_token_id", "eos_token_id"}}) {
    if (const json* id = metadata.find(key)) config[name] = *id;
  }
  return config;
}

std::unique_ptr<WeightFile> gguf_as_hugging_face(std::unique_ptr<GgufFile> file) {
  return std::make_unique<LlamaGguf>(std::move(file));
}

}  // namespace ichigo
