#include "nn/cached_attention.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ichigo {

void LayerCache::write(const at::Tensor& key, const at::Tensor& value, int64_t offset) {
  const int64_t end = offset + key.size(0);
  if (!keys_.defined() || keys_.size(2) < end) {
    const int64_t capacity = std::max<int64_t>(end, keys_.defined() ? 2 * keys_.size(2) : 256);
    auto grow = [&](at::Tensor& old) {
      at::Tensor larger = at::empty({1, key.size(1), capacity, key.size(2)}, key.options());
      if (old.defined() && offset > 0) larger.slice(2, 0, offset).copy_(old.slice(2, 0, offset));
      old = larger;
    };
    grow(keys_);
    grow(values_);
  }
  keys_.slice(2, offset, end).copy_(key.transpose(0, 1).unsqueeze(0));
  values_.slice(2, offset, end).copy_(value.transpose(0, 1).unsqueeze(0));
}

at::Tensor cached_attention(const at::Tensor& query, const LayerCache& cache, int64_t offset) {
  const int64_t time = query.size(0);
  const int64_t heads = query.size(1);
  const int64_t head_dim = query.size(2);
  const int64_t length = offset + time;
  const at::Tensor keys = cache.keys(length);
  const at::Tensor values = cache.values(length);
  const int64_t kv_heads = keys.size(1);
  const int64_t group = heads / kv_heads;
  // The query heads that share a key head become further queries of it, so that keys are never repeated.
  const at::Tensor grouped =
      query.view({time, kv_heads, group, head_dim}).permute({1, 2, 0, 3}).reshape({1, kv_heads, group * time, head_dim});
  c10::optional<at::Tensor> mask;
  if (time > 1) {
    const at::Tensor position = at::arange(offset, length, query.options().dtype(at::kLong));
    const at::Tensor key_position = at::arange(length, query.options().dtype(at::kLong));
    const at::Tensor visible = key_position.unsqueeze(0) <= position.unsqueeze(1);
    mask = visible.repeat({group, 1}).view({1, 1, group * time, length});
  }
  const at::Tensor output = at::scaled_dot_product_attention(grouped, keys, values, mask);
  return output.view({kv_heads, group, time, head_dim}).permute({2, 0, 1, 3}).reshape({time, heads * head_dim});
}

}  // namespace ichigo
