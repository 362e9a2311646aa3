#include <nlohmann/json.hpp>
#include <tuple>
#include <type_traits>

#include "base/error.h"
#include "models/llama.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

template <typename T>
T value_of(const nlohmann::json& value, const char* key) {
  constexpr bool flag = std::is_same_v<T, bool>, text = std::is_same_v<T, std::string>;
  require(flag   ? value.is_boolean()
          : text ? value.is_string()
                 : value.is_number(),
          "the model's config.json: \"", key, "\" is ", json_line(value), ", expected ",
          flag   ? "true or false"
          : text ? "a text"
                 : "a number");
  return value.get<T>();
}

template <typename T>
T field(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  require(found != json.end(), "the model's config.json lacks the number \"", key, "\"");
  return value_of<T>(*found, key);
}

template <typename T>
T field(const nlohmann::json& json, const char* key, T fallback) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? fallback : value_of<T>(*found, key);
}

}  // namespace

LlamaConfig LlamaConfig::from_json(const nlohmann::json& json) {
  require(json.is_object(), "the model's config.json is not a JSON object");
  const std::string type = field<std::string>(json, "model_type", "llama");
  require(type == "llama" || type == "qwen2", "the model type \"", type,
          "\" is not supported: llama and qwen2 models can be loaded");
  LlamaConfig config;
  config.hidden_size = field<int64_t>(json, "hidden_size");
  config.intermediate_size = field<int64_t>(json, "intermediate_size");
  config.num_hidden_layers = field<int64_t>(json, "num_hidden_layers");
  config.num_attention_heads = field<int64_t>(json, "num_attention_heads");
  config.num_key_value_heads = field<int64_t>(json, "num_key_value_heads", config.num_attention_heads);
  require(config.num_attention_heads > 0, "num_attention_heads must be positive, not ", config.num_attention_heads);
  config.head_dim = field<int64_t>(json, "head_dim", config.hidden_size / config.num_attention_heads);
  config.vocab_size = field<int64_t>(json, "vocab_size");
  config.max_position_embeddings = field<int64_t>(json, "max_position_embeddings", 2048);
  config.rms_norm_eps = field<double>(json, "rms_norm_eps", 1e-6);
  config.tie_word_embeddings = field<bool>(json, "tie_word_embeddings", false);
  config.attention_bias = field<bool>(json, "attention_bias", type == "qwen2");
  const std::string activation = field<std::string>(json, "hidden_act", "silu");
  require(activation == "silu", "the activation \"", activation, "\" is not supported: silu is");
  // Published files: rope_theta and rope_scaling. Files of transformers 5: both within rope_parameters.
  nlohmann::json rope = json.value("rope_parameters", nlohmann::json());
  config.rope_theta = field<double>(json, "rope_theta", 10000.0);
  if (rope.is_object()) {
    config.rope_theta = field<double>(rope, "rope_theta", config.rope_theta);
  } else {
    rope = json.value("rope_scaling", nlohmann::json());
  }
  if (rope.is_object()) {
    const std::string kind = field<std::string>(rope, "rope_type", field<std::string>(rope, "type", "default"));
    require(kind == "default" || kind == "llama3", "the rope type \"", kind,
            "\" is not supported: default and llama3 are");
    if (kind == "llama3") {
      RopeScaling scaling;
      scaling.factor = field<double>(rope, "factor");
      scaling.low_freq_factor = field<double>(rope, "low_freq_factor");
      scaling.high_freq_factor = field<double>(rope, "high_freq_factor");
      scaling.original_max_position_embeddings = field<int64_t>(rope, "original_max_position_embeddings");
      config.rope_scaling = scaling;
    }
  }
  config.validate();
  return config;
}

nlohmann::json LlamaConfig::to_json() const {
  nlohmann::json json = {{"architectures", {attention_bias ? "Qwen2ForCausalLM" : "LlamaForCausalLM"}},
                         {"model_type", attention_bias ? "qwen2" : "llama"},
                         {"hidden_size", hidden_size},
                         {"intermediate_size", intermediate_size},
                         {"num_hidden_layers", num_hidden_layers},
                         {"num_attention_heads", num_attention_heads},
                         {"num_key_value_heads", num_key_value_heads},
                         {"head_dim", head_dim},
                         {"vocab_size", vocab_size},
                         {"max_position_embeddings", max_position_embeddings},
                         {"rms_norm_eps", rms_norm_eps},
                         {"rope_theta", rope_theta},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", tie_word_embeddings},
                         {"attention_bias", attention_bias},
                         {"torch_dtype", "bfloat16"}};
  if (rope_scaling) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", rope_scaling->factor},
                            {"low_freq_factor", rope_scaling->low_freq_factor},
                            {"high_freq_factor", rope_scaling->high_freq_factor},
                            {"original_max_position_embeddings", rope_scaling->original_max_position_embeddings}};
  }
  return json;
}

void LlamaConfig::validate() const {
  // Bits: so that no product of them overflows.
  for (const auto& [name, value, bits] : {std::tuple{"hidden_size", hidden_size, 24},
                                          {"intermediate_size", intermediate_size, 28},
                                          {"num_hidden_layers", num_hidden_layers, 16},
                                          {"num_attention_heads", num_attention_heads, 16},
                                          {"num_key_value_heads", num_key_value_heads, 16},
                                          {"head_dim", head_dim, 16},
                                          {"vocab_size", vocab_size, 31},
                                          {"max_position_embeddings", max_position_embeddings, 31}}) {
    require(value > 0 && value < int64_t{1} << bits, name, " must be positive and below 2^", bits, ", not ", value);
  }
  require(head_dim % 2 == 0, "head_dim must be even, not ", head_dim);
  require(num_attention_heads % num_key_value_heads == 0, "num_attention_heads (", num_attention_heads,
          ") must be a multiple of num_key_value_heads (", num_key_value_heads, ")");
}

int64_t LlamaConfig::parameters() const {
  const int64_t query = num_attention_heads * head_dim;
  const int64_t kv = num_key_value_heads * head_dim;
  const int64_t biases = attention_bias ? query + 2 * kv : 0;
  const int64_t layer =
      2 * hidden_size + biases + hidden_size * (2 * query + 2 * kv) + 3 * hidden_size * intermediate_size;
  return vocab_size * hidden_size * (tie_word_embeddings ? 1 : 2) + num_hidden_layers * layer + hidden_size;
}

}  // namespace ichigo
