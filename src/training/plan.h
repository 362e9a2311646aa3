// What a decoder's training will take: parameters, tokens, memory and work, reckoned from its recipe before anything is
// started. Of the base only its configuration and vocabulary are read; token files need not be there.
#pragma once
#include <cstdint>
#include <optional>

#include "models/llama.h"
#include "training/decoder_recipe.h"

namespace ichigo {

// The configuration of the model to be trained, rows for sound tokens included.
struct PlannedModel {
  LlamaConfig config;
  int64_t new_rows = 0;     // that the base does not have
  bool from_shape = false;  // the base is not there: its shape is what the recipe says
};
// Throws Error when the base is not there and the recipe names no shape.
PlannedModel planned_model(const DecoderRecipe& recipe);

// Bytes on one of `ranks` that share the parameters (weights, gradients, optimiser state) row by row; a layer's, and
// those of embedding and head, are whole while they are used. Activations are those of the processor's fused
// operations for one batch of batch_tokens.
struct PlannedMemory {
  double weights = 0, masters = 0;      // as they are computed with; in float32, where those are not
  double gradients = 0;                 // summed over a step's batches, float32
  double optimizer = 0;                 // its moments
  double whole_weights = 0;             // of other ranks, gathered while they are used
  double batch_gradients = 0;           // of one batch, before they are added to the sums
  double head = 0;                      // logits of a chunk, and the head's gradient
  double activations = 0;               // everything a backward pass needs
  double checkpointed_activations = 0;  // the layers' inputs, and one layer's insides
  // The most at once: what stays, and either the activations and the head or the batch's gradients.
  double peak(bool checkpointing) const;
};
PlannedMemory planned_memory(const DecoderRecipe& recipe, const LlamaConfig& config, int64_t ranks);
// The fewest ranks on which the recipe fits; none up to 65536.
std::optional<int64_t> fewest_ranks(const DecoderRecipe& recipe, const LlamaConfig& config, double bytes);

// Floating-point operations of the whole training, forward and backward.
struct PlannedWork {
  double matrices = 0;    // 6 x parameters x tokens
  double attention = 0;   // causal, if every sample had the longest length: an upper bound
  double recomputed = 0;  // the layers' second forward pass under activation checkpointing
  double total() const { return matrices + attention + recomputed; }
};
PlannedWork planned_work(const DecoderRecipe& recipe, const LlamaConfig& config);

}  // namespace ichigo
