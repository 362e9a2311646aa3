// Causal grouped-query attention over sequences packed one behind another, rotary embedding included, with its
// gradient: no token sees another sequence. For training; with a KV cache see nn/cached_attention.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/rotary.h"

namespace ichigo {

// query [total, heads * head_dim], key and value [total, kv_heads * head_dim], lengths summing to total
// -> [total, heads * head_dim]. On the CPU each sequence and key head is one task in float32 that stays in the cache
// (time^2 floats a thread); only the causal half is computed, and the gradient computes the weights again.
at::Tensor packed_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const std::vector<int64_t>& lengths, int64_t head_dim, const RotaryTable& rotary);
// The same by plain tensor operations, sequence by sequence.
at::Tensor packed_attention_reference(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                      const std::vector<int64_t>& lengths, int64_t head_dim,
                                      const RotaryTable& rotary);

}  // namespace ichigo
