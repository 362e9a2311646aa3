// Keys and values of one sequence, and attention over them while it grows.
#pragma once
#include <ATen/core/Tensor.h>

namespace ichigo {

// One layer's keys and values [1, kv_heads, capacity, head_dim], grown by doubling.
class LayerCache {
 public:
  // key, value [time, kv_heads, head_dim], written at positions offset, offset + 1...
  void write(const at::Tensor& key, const at::Tensor& value, int64_t offset);
  // [1, kv_heads, length, head_dim]
  at::Tensor keys(int64_t length) const { return keys_.slice(2, 0, length); }
  at::Tensor values(int64_t length) const { return values_.slice(2, 0, length); }

 private:
  at::Tensor keys_, values_;
};

// query [time, heads, head_dim] (rotated) at positions offset..., over cache positions [0, offset + time), causal
// -> [time, heads * head_dim]. No gradient.
at::Tensor cached_attention(const at::Tensor& query, const LayerCache& cache, int64_t offset);

}  // namespace ichigo
