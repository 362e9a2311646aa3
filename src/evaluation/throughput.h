// How fast a decoder reads a prompt and writes an answer, beside what the machine could do at most.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "models/named_shape.h"
#include "models/packed_llama.h"

namespace ichigo {

// A model of this configuration with random weights, made row by row. Throws Error, before memory is taken, when it
// needs more than is free.
std::unique_ptr<PackedLlama> random_llama(const LlamaConfig& config, const PackedTypes& types);

struct ThroughputConfig {
  int64_t prompt_tokens = 128, answer_tokens = 64, repeats = 5;
  void validate() const;  // throws Error
};

struct Throughput {
  // Medians over the repeats, each from an empty context: the prompt with the logits of its last token; the answer
  // token by token, each with its logits.
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;
  double matrix_peak = 0;           // GFLOP/s in bfloat16
  double memory_bandwidth = 0;      // GB/s of reading as much as the weights are
  double share_of_matrix_peak = 0;  // of the prefill: 2 FLOP a weight and token
  double share_of_bandwidth = 0;    // of decoding: all weights once a token
  int64_t weight_bytes = 0;         // which a token reads
};
// The machine's limits are measured in every repeat: neighbours on the same machine change them.
Throughput measure_throughput(PackedLlama& model, const LlamaConfig& config, const ThroughputConfig& settings);

}  // namespace ichigo
