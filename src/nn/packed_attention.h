// Causal grouped-query attention over sequences packed one behind another, rotary embedding included, with its
// gradient: no token sees another sequence. For training; with a KV cache see nn/cached_attention.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/rotary.h"

namespace ichigo {

// Sequences packed one behind another, and where their tokens stand when the sequences are laid side by side, all as
// long as the longest.
struct PackedSequences {
  PackedSequences(std::vector<int64_t> lengths, at::Device device);

  std::vector<int64_t> lengths;
  int64_t total = 0, longest = 0;
  at::Tensor positions;  // int64 [total]: each token's place in its sequence
  at::Tensor spread;     // int64 [sequences * longest]: the token of each place, behind a sequence's end its last one
  at::Tensor gathered;   // int64 [total]: the place of each token
};

// query [total, heads * head_dim], key and value [total, kv_heads * head_dim] -> [total, heads * head_dim]. On the CPU
// each sequence and key head is one task in float32 that stays in the cache (time^2 floats a thread); only the causal
// half is computed, and the gradient computes the weights again. Elsewhere: packed_attention_side_by_side.
at::Tensor packed_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const PackedSequences& sequences, int64_t head_dim, const RotaryTable& rotary);
// The same by libtorch's fused attention on the sequences side by side. What fills them up stands behind their ends,
// where causal attention never looks.
at::Tensor packed_attention_side_by_side(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                         const PackedSequences& sequences, int64_t head_dim, const RotaryTable& rotary);
// The same by plain tensor operations, sequence by sequence.
at::Tensor packed_attention_reference(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                      const std::vector<int64_t>& lengths, int64_t head_dim, const RotaryTable& rotary);

}  // namespace ichigo
