// Source of the keys: the GGUF specification and llama.cpp's convert_hf_to_gguf.py.
#include "models/llama_gguf.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/llama.h"
#include "weights/gguf.h"

namespace ichigo {
namespace {

using nlohmann::json;

// general.file_type
uint32_t file_type(const GgufStorage& storage) {
  if (!storage.matrices) return storage.dtype == at::kHalf ? 1 : 32;
  switch (*storage.matrices) {
    case BlockType::kQ4_0:
      return 2;
    case BlockType::kQ4_1:
      return 3;
    case BlockType::kQ8_0:
      return 7;
    case BlockType::kQ5_0:
      return 8;
    case BlockType::kQ5_1:
      return 9;
    default:
      fail("GGUF files of the type ", block_name(*storage.matrices), " can be read, not written");
  }
}

json architecture_metadata(const LlamaConfig& config) {
  json keys = {{"block_count", config.num_hidden_layers},
               {"context_length", config.max_position_embeddings},
               {"embedding_length", config.hidden_size},
               {"feed_forward_length", config.intermediate_size},
               {"attention.head_count", config.num_attention_heads},
               {"attention.head_count_kv", config.num_key_value_heads},
               {"attention.key_length", config.head_dim},
               {"attention.value_length", config.head_dim},
               {"attention.layer_norm_rms_epsilon", config.rms_norm_eps},
               {"rope.freq_base", config.rope_theta},
               {"rope.dimension_count", config.head_dim},
               {"vocab_size", config.vocab_size}};
  json metadata = json::object();
  const std::string architecture = config.attention_bias ? "qwen2" : "llama";
  metadata["general.architecture"] = architecture;
  for (const auto& [key, value] : keys.items()) metadata[architecture + "." + key] = value;
  return metadata;
}

json vocabulary_metadata(const ModelDirectory& model, const LlamaConfig& config) {
  json metadata = model.tokenizer.gguf_metadata(config.vocab_size);
  const auto set = [&](const char* key, const json& id) {
    if (id.is_number_integer() && !metadata.contains(key)) metadata[key] = id;
  };
  set("tokenizer.ggml.bos_token_id", model.config.value("bos_token_id", json()));
  const json end = model.config.value("eos_token_id", json());
  set("tokenizer.ggml.eos_token_id",
      end.is_number_integer() || model.stop_tokens.empty() ? end : json(model.stop_tokens[0]));
  if (!model.chat_template.empty()) metadata["tokenizer.chat_template"] = model.chat_template;
  return metadata;
}

}  // namespace

GgufStorage GgufStorage::parse(const std::string& name) {
  if (name == "bf16") return {at::kBFloat16, {}, {}};
  if (name == "f16") return {at::kHalf, {}, {}};
  const auto blocks = parse_block_type(name);
  require(blocks.has_value(), "\"", name,
          "\" is no type that GGUF files are written in: use bf16, f16, q8_0, q5_1, q5_0, q4_1 or q4_0");
  GgufStorage storage{at::kBFloat16, blocks, BlockType::kQ8_0};
  file_type(storage);  // refuses what is only read
  return storage;
}

void write_llama_gguf(const std::filesystem::path& path, const ModelDirectory& model, const GgufStorage& storage) {
  const auto config = LlamaConfig::from_json(model.config);
  json metadata = architecture_metadata(config);
  metadata.update(vocabulary_metadata(model, config));
  metadata["general.name"] = std::filesystem::absolute(model.path).lexically_normal().filename().string();
  metadata["general.file_type"] = file_type(storage);
  if (storage.matrices) metadata["general.quantization_version"] = 2;

  const json config_json = config.to_json();
  auto tensors = llama_tensors(config, *model.weights);
  for (TensorToWrite& tensor : tensors) {
    const bool matrix = tensor.shape.size() == 2;
    const bool embedding = is_embedding(tensor.name);
    tensor.name = gguf_llama_name(tensor.name);
    tensor.dtype = matrix ? storage.dtype : at::kFloat;
    if (matrix) tensor.blocks = embedding ? storage.embedding : storage.matrices;
    const int64_t heads = gguf_permuted_heads(tensor.name, config_json);
    if (heads > 0) tensor.load = [load = tensor.load, heads] { return gguf_llama_rows(load(), heads); };
  }
  if (config.rope_scaling) {
    tensors.push_back(
        {"rope_freqs.weight", at::tensor(rope_divisors(config.head_dim, config.rope_theta, *config.rope_scaling))});
  }
  write_gguf(path, metadata, tensors);
}

}  // namespace ichigo
