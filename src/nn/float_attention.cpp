#include "nn/float_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "nn/kernels/row_kernels.h"

namespace ichigo {
namespace {

using kernels::kTileColumns;
using kernels::kTileRows;
using kernels::round_up;
static_assert(FloatLayerCache::kBlock == kTileColumns);

}  // namespace

void FloatLayerCache::reserve(int64_t length, int64_t kv_heads, int64_t head_dim) {
  if (length <= capacity_) return;
  kv_heads_ = kv_heads;
  head_dim_ = head_dim;
  value_stride_ = round_up(head_dim, kTileColumns);
  const int64_t capacity = std::max({round_up(length, kTileColumns), 2 * capacity_, int64_t{256}});
  const auto grow = [&](std::vector<float>& old, int64_t width) {
    std::vector<float> larger(static_cast<size_t>(kv_heads * capacity * width));
    for (int64_t head = 0; head < kv_heads && capacity_ > 0; ++head) {
      std::copy_n(old.data() + head * capacity_ * width, capacity_ * width, larger.data() + head * capacity * width);
    }
    old = std::move(larger);
  };
  grow(keys_, head_dim_);
  grow(values_, value_stride_);
  capacity_ = capacity;
}

void FloatLayerCache::write(int64_t position, const float* key, const float* value) {
  for (int64_t head = 0; head < kv_heads_; ++head) {
    float* block = keys_.data() + (head * capacity_ + position / kBlock * kBlock) * head_dim_ + position % kBlock;
    for (int64_t d = 0; d < head_dim_; ++d) block[d * kBlock] = key[head * head_dim_ + d];
    std::copy_n(value + head * head_dim_, head_dim_, values_.data() + (head * capacity_ + position) * value_stride_);
  }
}

void float_attention(const float* query, int64_t query_stride, int64_t time, int64_t heads, int64_t offset,
                     const FloatLayerCache& cache, float* output) {
  const int64_t kv_heads = cache.kv_heads(), dim = cache.head_dim(), group = heads / kv_heads;
  const int64_t queries = time * group;  // of one key head: those of one token stand together
  const int64_t tiles = (queries + kTileRows - 1) / kTileRows;
  const int64_t stride = round_up(offset + time, kTileColumns), value_stride = cache.value_stride();
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  const int64_t grain = std::max<int64_t>(1, 100000 / (kTileRows * stride * dim));
  at::parallel_for(0, kv_heads * tiles, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(kTileRows * stride)), from(static_cast<size_t>(kTileRows * dim)),
        to(static_cast<size_t>(kTileRows * value_stride));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t kv_head = task / tiles, first = task % tiles * kTileRows;
      const int64_t rows = std::min(kTileRows, queries - first);
      const auto place = [&](int64_t r, int64_t token_stride) {
        return (first + r) / group * token_stride + (kv_head * group + (first + r) % group) * dim;
      };
      for (int64_t r = 0; r < rows; ++r) std::copy_n(query + place(r, query_stride), dim, from.data() + r * dim);
      const int64_t longest = offset + (first + rows - 1) / group + 1;
      for (int64_t position = 0; position < longest; position += FloatLayerCache::kBlock) {
        kernels::tile_product(from.data(), dim, 1, 0, dim, cache.keys(kv_head, position / FloatLayerCache::kBlock),
                              FloatLayerCache::kBlock, scores.data() + position, stride, FloatLayerCache::kBlock, false,
                              rows);
      }
      for (int64_t r = 0; r < rows; ++r) {
        float* row = scores.data() + r * stride;
        const int64_t visible = offset + (first + r) / group + 1;
        kernels::softmax(row, visible, scale);
        std::fill(row + visible, row + longest, 0.0F);
      }
      kernels::tile_product(scores.data(), stride, 1, 0, longest, cache.values(kv_head), value_stride, to.data(),
                            value_stride, value_stride, false, rows);
      for (int64_t r = 0; r < rows; ++r) std::copy_n(to.data() + r * value_stride, dim, output + place(r, heads * dim));
    }
  });
}

}  // namespace ichigo
