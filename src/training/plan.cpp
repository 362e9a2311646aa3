#include "training/plan.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "models/named_shape.h"
#include "text/json_text.h"
#include "text/sound_vocabulary.h"
#include "weights/base_weights.h"
#include "weights/model_directory.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

constexpr double kFloatBytes = 4;
constexpr double kLogitRows = 512;  // a chunk of linear_cross_entropy

double element_bytes(const DecoderRecipe& recipe) {
  return recipe.bf16 ? 2 : kFloatBytes;
}

// Parameters of one layer, and those of embedding, head and last norm.
struct Parts {
  explicit Parts(const LlamaConfig& config) {
    LlamaConfig without = config;
    without.num_hidden_layers = 0;
    rest = static_cast<double>(without.parameters());
    layer = (static_cast<double>(config.parameters()) - rest) / static_cast<double>(config.num_hidden_layers);
  }
  double layer, rest;
};

double optimizer_values(const DecoderRecipe& recipe, const LlamaConfig& config) {
  double values = 0;
  for (const auto& [name, parameter] : Llama(config, at::TensorOptions().device(at::kMeta)).hugging_face_parameters()) {
    values +=
        static_cast<double>(optimizer_state_size(recipe.optimizer_kind, name, parameter.sizes(), config.head_dim));
  }
  return values;
}

}  // namespace

PlannedModel planned_model(const DecoderRecipe& recipe) {
  PlannedModel model;
  std::optional<BytePairTokenizer> tokenizer;
  const bool absent = !recipe.base.string().starts_with("base:") && !fs::exists(recipe.base);
  if (absent) {
    require(!recipe.shape.empty(), "the base ", recipe.base.string(),
            " does not exist; to plan without it, name its \"shape\" in the recipe (llama-3.1-8b, say)");
    model.config = named_shape(recipe.shape);
    model.from_shape = true;
  } else if (const fs::path base = resolve_base(recipe.base); fs::exists(base / "config.json")) {
    const fs::path path = base / "config.json";
    model.config = LlamaConfig::from_json(parse_json_object(read_file(path), path.string()));
    if (fs::exists(base / "tokenizer.json")) tokenizer = open_vocabulary(base);
  } else {
    ModelDirectory directory = open_model_directory(base);
    model.config = LlamaConfig::from_json(directory.config);
    tokenizer = std::move(directory.tokenizer);
  }
  const int64_t old_rows = model.config.vocab_size;
  if (tokenizer) {
    if (tokenizer->id_of(sound_token(0)) < 0) SoundVocabulary::extend(*tokenizer, recipe.codes);
    model.config.vocab_size = std::max(old_rows, tokenizer->vocabulary_size());
  } else {
    model.config.vocab_size += recipe.codes + 3;  // start, end, and the mask code
  }
  model.new_rows = model.config.vocab_size - old_rows;
  return model;
}

double PlannedMemory::peak(bool checkpointing) const {
  const double while_computing = (checkpointing ? checkpointed_activations : activations) + head;
  return weights + masters + gradients + optimizer + whole_weights + std::max(while_computing, batch_gradients);
}

PlannedMemory planned_memory(const DecoderRecipe& recipe, const LlamaConfig& config, int64_t ranks) {
  const double bytes = element_bytes(recipe), parameters = static_cast<double>(config.parameters());
  const double share = parameters / static_cast<double>(ranks);
  const Parts parts(config);
  PlannedMemory memory;
  memory.weights = share * bytes;
  memory.masters = recipe.bf16 ? share * kFloatBytes : 0;
  memory.gradients = share * kFloatBytes;
  memory.optimizer = optimizer_values(recipe, config) / static_cast<double>(ranks) * kFloatBytes;
  const double whole = parts.layer + parts.rest;
  memory.whole_weights = ranks > 1 ? whole * bytes : 0;
  memory.batch_gradients = ranks > 1 ? whole * (bytes + kFloatBytes) : parameters * bytes;

  const auto hidden = static_cast<double>(config.hidden_size), inner = static_cast<double>(config.intermediate_size);
  const auto query = static_cast<double>(config.num_attention_heads * config.head_dim);
  const auto key = static_cast<double>(config.num_key_value_heads * config.head_dim);
  const auto vocabulary = static_cast<double>(config.vocab_size),
             layers = static_cast<double>(config.num_hidden_layers);
  const auto tokens = static_cast<double>(
      std::min(std::max(recipe.batch_tokens, recipe.longest_sample), recipe.step_tokens + recipe.longest_sample));
  // A head row by row: its gradient in float32, that of a chunk, and the one that is handed on.
  memory.head =
      vocabulary * hidden * (kFloatBytes + 2 * bytes) + kLogitRows * vocabulary * bytes + 2 * tokens * hidden * bytes;
  // The inputs of both norms and what they give, queries, keys, values, what is attended, gate, up and their product;
  // two roots of squares a token.
  const double layer = tokens * (bytes * (4 * hidden + 2 * query + 2 * key + 3 * inner) + 2 * kFloatBytes);
  const double layer_gradients = tokens * bytes * (2 * hidden + 3 * inner);
  memory.activations = layers * layer + layer_gradients;
  memory.checkpointed_activations = layers * tokens * hidden * bytes + layer + layer_gradients;
  return memory;
}

std::optional<int64_t> fewest_ranks(const DecoderRecipe& recipe, const LlamaConfig& config, double bytes) {
  constexpr int64_t kMost = 65536;
  const auto fits = [&](int64_t ranks) {
    return planned_memory(recipe, config, ranks).peak(recipe.checkpointing) <= bytes;
  };
  if (fits(1)) return 1;
  if (!fits(kMost)) return std::nullopt;
  int64_t too_few = 1, enough = kMost;  // more ranks never need more memory, from two on
  while (enough - too_few > 1) {
    const int64_t middle = (too_few + enough) / 2;
    (fits(middle) ? enough : too_few) = middle;
  }
  return enough;
}

PlannedWork planned_work(const DecoderRecipe& recipe, const LlamaConfig& config) {
  const double tokens = static_cast<double>(recipe.schedule.total_steps) * static_cast<double>(recipe.step_tokens);
  const auto layers = static_cast<double>(config.num_hidden_layers);
  PlannedWork work;
  work.matrices = 6 * static_cast<double>(config.parameters()) * tokens;
  // A token sees (length + 1) / 2 keys on average: a product for its scores and one for what it attends to, each of
  // 2 operations a number, forward once and backward twice.
  const double keys = 0.5 * static_cast<double>(recipe.longest_sample + 1);
  const auto query = static_cast<double>(config.num_attention_heads * config.head_dim);
  work.attention = tokens * layers * keys * query * 2 * 2 * 3;
  if (recipe.checkpointing) work.recomputed = 2 * layers * Parts(config).layer * tokens + work.attention / 3;
  return work;
}

}  // namespace ichigo
