// Attention over a growing sequence in float32 on the processor: what a token gives does not depend, bit by bit, on the
// tokens that are fed with it. The plain version, which also runs on a GPU, is nn/cached_attention.
#pragma once
#include <cstdint>
#include <vector>

namespace ichigo {

// One layer's keys and values. Keys lie in blocks of 16 positions [kv_heads, blocks, head_dim, 16], so that a query
// meets 16 of them at once; values as [kv_heads, capacity, head_dim], each row padded to a multiple of 16.
class FloatLayerCache {
 public:
  static constexpr int64_t kBlock = 16;
  // Makes room for `length` positions; grows by doubling.
  void reserve(int64_t length, int64_t kv_heads, int64_t head_dim);
  // key, value [kv_heads * head_dim] of one position, for which there must be room.
  void write(int64_t position, const float* key, const float* value);

  int64_t kv_heads() const { return kv_heads_; }
  int64_t head_dim() const { return head_dim_; }
  int64_t value_stride() const { return value_stride_; }
  const float* keys(int64_t kv_head, int64_t block) const {
    return keys_.data() + (kv_head * capacity_ + block * kBlock) * head_dim_;
  }
  const float* values(int64_t kv_head) const { return values_.data() + kv_head * capacity_ * value_stride_; }

 private:
  int64_t kv_heads_ = 0, head_dim_ = 0, value_stride_ = 0, capacity_ = 0;
  std::vector<float> keys_, values_;
};

// query [time, heads * head_dim] (rotated; the next token's begins query_stride floats further) at positions offset...,
// over positions [0, offset + time), causal -> output [time, heads * head_dim]. heads is a multiple of the cache's
// kv_heads.
void float_attention(const float* query, int64_t query_stride, int64_t time, int64_t heads, int64_t offset,
                     const FloatLayerCache& cache, float* output);

}  // namespace ichigo
