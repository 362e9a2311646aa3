#include "models/named_shape.h"

#include "base/error.h"

namespace ichigo {

LlamaConfig named_shape(const std::string& name) {
  LlamaConfig config;
  config.max_position_embeddings = 8192;
  if (name == "smollm2-135m") return config;
  if (name == "llama-3.2-1b") {
    config.hidden_size = 2048;
    config.intermediate_size = 8192;
    config.num_hidden_layers = 16;
  } else if (name == "llama-3.1-8b") {
    config.hidden_size = 4096;
    config.intermediate_size = 14336;
    config.num_hidden_layers = 32;
    config.tie_word_embeddings = false;
  } else {
    fail("unknown shape \"", name, "\": use smollm2-135m, llama-3.2-1b or llama-3.1-8b");
  }
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.head_dim = config.hidden_size / 32;
  config.vocab_size = 128256;
  config.rope_theta = 500000;
  return config;
}

}  // namespace ichigo
