// A Llama or Qwen2 GGUF under Hugging Face's names, and back. For Llama, llama.cpp's converter permutes the rows of q
// and k so that the two halves of a rotary pair lie side by side; Hugging Face keeps them half a head apart.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/json_text.h"
#include "weights/gguf.h"
#include "weights/rope_frequencies.h"

namespace ichigo {
namespace {

using nlohmann::json;

const std::pair<std::string_view, std::string_view> kNames[] = {{"token_embd.weight", "model.embed_tokens.weight"},
                                                                {"output_norm.weight", "model.norm.weight"},
                                                                {"output.weight", "lm_head.weight"}};
constexpr const char* kRopeDivisors = "rope_freqs.weight";
const std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attn_norm", "input_layernorm"}, {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},   {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"}};

// "PREFIX3.attn_q.weight" -> {"3", "attn_q", ".weight"}; the name of a layer's part has no dot in GGUF, but may have
// one in Hugging Face's names. Nothing for any other name.
struct LayerName {
  std::string layer, part, ending;
};
std::optional<LayerName> split_layer_name(const std::string& name, std::string_view prefix) {
  const auto layer = name.find('.', prefix.size()), ending = name.rfind('.');
  if (!name.starts_with(prefix) || layer == std::string::npos || layer >= ending) return std::nullopt;
  return LayerName{name.substr(prefix.size(), layer - prefix.size()), name.substr(layer + 1, ending - layer - 1),
                   name.substr(ending)};
}

// The name of one side's tensor on the other side; nothing for a name that Llama does not have.
enum class Naming { kGguf, kHuggingFace };
std::optional<std::string> renamed(const std::string& name, Naming from) {
  const bool gguf = from == Naming::kGguf;
  const auto translate = [&](const auto& table, std::string_view text) -> std::optional<std::string> {
    for (const auto& [of_gguf, of_hugging_face] : table) {
      if (text == (gguf ? of_gguf : of_hugging_face)) return std::string(gguf ? of_hugging_face : of_gguf);
    }
    return std::nullopt;
  };
  if (const auto other = translate(kNames, name)) return other;
  constexpr std::string_view kPrefixes[] = {"blk.", "model.layers."};
  const auto split = split_layer_name(name, kPrefixes[gguf ? 0 : 1]);
  const auto part = split ? translate(kLayerNames, split->part) : std::nullopt;
  if (!part) return std::nullopt;
  return concat(kPrefixes[gguf ? 1 : 0], split->layer, '.', *part, split->ending);
}

class LlamaGguf : public WeightFile {
 public:
  explicit LlamaGguf(std::unique_ptr<GgufFile> file) : file_(std::move(file)), config_(gguf_llama_config(*file_)) {
    for (const auto& [name, info] : file_->tensors()) {
      if (name == kRopeDivisors) continue;  // within the configuration
      const auto hugging_face = renamed(name, Naming::kGguf);
      require(hugging_face.has_value(), "the GGUF tensor \"", name, "\" does not belong to a Llama model");
      names_[*hugging_face] = name;
      tensors_[*hugging_face] = info;
      if (const auto heads = gguf_permuted_heads(name, config_)) {
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
  MatrixRows matrix_rows(const std::string& name) const override {
    MatrixRows rows = file_->matrix_rows(original(name));
    const int64_t heads = gguf_permuted_heads(original(name), config_);
    if (heads == 0) return rows;
    const int64_t half = rows.rows / heads / 2;
    const auto place = [half](int64_t row) {
      const int64_t within = row % (2 * half);
      return row - within + within % half * 2 + within / half;
    };
    MatrixRows arranged = rows;
    arranged.read = [rows, place](int64_t row, float* out) { rows.read(place(row), out); };
    if (rows.blocks) arranged.stored = [rows, place](int64_t row) { return rows.stored(place(row)); };
    return arranged;
  }
  void release(const std::string& name) const override { file_->release(original(name)); }

 private:
  const std::string& original(const std::string& name) const {
    const auto found = names_.find(name);
    require(found != names_.end(), path().string(), " has no tensor for \"", name, "\"");
    return found->second;
  }
  at::Tensor arrange(const std::string& name, const at::Tensor& tensor) const {
    const int64_t heads = gguf_permuted_heads(original(name), config_);
    if (heads == 0) return tensor;
    const int64_t half = tensor.size(0) / heads / 2;
    return tensor.reshape({heads, half, 2, -1}).transpose(1, 2).reshape(tensor.sizes());
  }

  std::unique_ptr<GgufFile> file_;
  json config_;
  std::map<std::string, std::string> names_;
  std::map<std::string, TensorInfo> tensors_;
};

// The keys of one architecture: "block_count" is "llama.block_count".
class Metadata {
 public:
  Metadata(const GgufFile& file, const std::string& architecture) : file_(file), prefix_(architecture + ".") {}
  const json* find(const std::string& key) const {
    const auto found = file_.metadata().find(prefix_ + key);
    return found == file_.metadata().end() ? nullptr : &*found;
  }
  int64_t positive(const std::string& key, std::optional<int64_t> otherwise = {}) const {
    const json* value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    require(value != nullptr && value->is_number_integer() && *value > 0 && *value <= 1 << 30, file_.path().string(),
            ": the metadata key \"", prefix_, key, "\" must be a positive whole number");
    return value->get<int64_t>();
  }
  double number(const std::string& key, double otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    require(value->is_number(), file_.path().string(), ": the metadata key \"", prefix_, key, "\" must be a number");
    return value->get<double>();
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

// GGUF keeps of Llama 3.1's scaling only what each frequency is divided by. The published models share its bounds of 1
// and 4; the factor is the largest divisor, and the original context a power of two.
std::optional<RopeScaling> llama3_scaling(const at::Tensor& divisors, int64_t head_dim, double theta) {
  if (divisors.dim() != 1 || divisors.size(0) != head_dim / 2 || divisors.size(0) == 0) return std::nullopt;
  RopeScaling scaling;
  scaling.factor = divisors.max().item<double>();
  for (int64_t context = 32; context <= int64_t{1} << 24; context *= 2) {
    scaling.original_max_position_embeddings = context;
    const at::Tensor expected = at::tensor(rope_divisors(head_dim, theta, scaling), at::kFloat);
    if (at::allclose(divisors, expected, 1e-5, 0)) return scaling;
  }
  return std::nullopt;
}

json rope_scaling(const Metadata& metadata, const GgufFile& file, int64_t head_dim, double theta) {
  if (file.contains(kRopeDivisors)) {
    const auto scaling = llama3_scaling(file.load_as(kRopeDivisors, at::kFloat), head_dim, theta);
    require(scaling.has_value(), file.path().string(), ": the tensor \"", kRopeDivisors,
            "\" is not Llama 3's RoPE scaling, the only one supported");
    return {{"rope_type", "llama3"},
            {"factor", scaling->factor},
            {"low_freq_factor", scaling->low_freq_factor},
            {"high_freq_factor", scaling->high_freq_factor},
            {"original_max_position_embeddings", scaling->original_max_position_embeddings}};
  }
  const json* type = metadata.find("rope.scaling.type");
  require(type == nullptr || *type == "none", file.path().string(), ": the RoPE scaling ",
          type == nullptr ? "" : json_line(*type), " is not supported");
  return nullptr;
}

}  // namespace

json gguf_llama_config(const GgufFile& file) {
  const json architecture = file.metadata().value("general.architecture", json());
  require(architecture == "llama" || architecture == "qwen2", file.path().string(), " holds the architecture ",
          json_line(architecture), "; \"llama\" and \"qwen2\" are supported");
  const Metadata metadata(file, architecture);
  const int64_t hidden = metadata.positive("embedding_length");
  const int64_t heads = metadata.positive("attention.head_count");
  const int64_t head_dim = metadata.positive("attention.key_length", hidden / heads);
  const double theta = metadata.number("rope.freq_base", 10000.0);
  const auto embedding = file.tensors().find("token_embd.weight");
  require(embedding != file.tensors().end() && embedding->second.shape.size() == 2, file.path().string(),
          " has no tensor \"token_embd.weight\" of two dimensions");
  json config = {{"architectures", {architecture == "llama" ? "LlamaForCausalLM" : "Qwen2ForCausalLM"}},
                 {"model_type", architecture},
                 {"hidden_act", "silu"},
                 {"hidden_size", hidden},
                 {"intermediate_size", metadata.positive("feed_forward_length")},
                 {"num_hidden_layers", metadata.positive("block_count")},
                 {"num_attention_heads", heads},
                 {"num_key_value_heads", metadata.positive("attention.head_count_kv", heads)},
                 {"head_dim", head_dim},
                 {"rms_norm_eps", metadata.number("attention.layer_norm_rms_epsilon", 1e-5)},
                 {"rope_theta", theta},
                 {"rope_scaling", rope_scaling(metadata, file, head_dim, theta)},
                 {"max_position_embeddings", metadata.positive("context_length")},
                 {"vocab_size", embedding->second.shape[0]},
                 {"tie_word_embeddings", !file.contains("output.weight")}};
  for (const auto& [key, name] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                  std::pair{"tokenizer.ggml.eos_token_id", "eos_token_id"}}) {
    if (file.metadata().contains(key)) config[name] = file.metadata()[key];
  }
  return config;
}

std::unique_ptr<WeightFile> gguf_as_hugging_face(std::unique_ptr<GgufFile> file) {
  return std::make_unique<LlamaGguf>(std::move(file));
}

std::string gguf_llama_name(const std::string& hugging_face) {
  const auto name = renamed(hugging_face, Naming::kHuggingFace);
  require(name.has_value(), "the tensor \"", hugging_face, "\" has no place in a Llama GGUF");
  return *name;
}

int64_t gguf_permuted_heads(const std::string& name, const json& config) {
  if (config["model_type"] != "llama") return 0;
  if (name.find(".attn_q.") != std::string::npos) return config["num_attention_heads"].get<int64_t>();
  if (name.find(".attn_k.") != std::string::npos) return config["num_key_value_heads"].get<int64_t>();
  return 0;
}

at::Tensor gguf_llama_rows(const at::Tensor& weight, int64_t heads) {
  require(weight.size(0) % (2 * heads) == 0, "q or k has ", weight.size(0), " rows, which ", heads,
          " heads cannot share");
  return weight.reshape({heads, 2, weight.size(0) / heads / 2, -1}).transpose(1, 2).reshape(weight.sizes());
}

}  // namespace ichigo
