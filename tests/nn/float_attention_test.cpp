// Attention over a growing float cache against libtorch's.
#include "nn/float_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nn/cached_attention.h"

namespace ichigo {
namespace {

struct Shape {
  int64_t heads, kv_heads, dim;
};

class FloatAttention : public testing::TestWithParam<Shape> {
 protected:
  // Outputs [length, heads * dim], fed in pieces that end at `ends`.
  at::Tensor run(const std::vector<int64_t>& ends) {
    const auto [heads, kv_heads, dim] = GetParam();
    FloatLayerCache cache;
    at::Tensor output = at::empty({kLength, heads * dim});
    int64_t begin = 0;
    for (const int64_t end : ends) {
      cache.reserve(end, kv_heads, dim);
      for (int64_t t = begin; t < end; ++t) {
        cache.write(t, keys_[t].const_data_ptr<float>(), values_[t].const_data_ptr<float>());
      }
      float_attention(queries_[begin].const_data_ptr<float>(), heads * dim, end - begin, heads, begin, cache,
                      output[begin].data_ptr<float>());
      begin = end;
    }
    return output;
  }
  void SetUp() override {
    const auto [heads, kv_heads, dim] = GetParam();
    at::manual_seed(1);
    queries_ = at::randn({kLength, heads * dim});
    keys_ = at::randn({kLength, kv_heads * dim});
    values_ = at::randn({kLength, kv_heads * dim});
  }
  static constexpr int64_t kLength = 300;  // more than the cache begins with
  at::Tensor queries_, keys_, values_;
};

TEST_P(FloatAttention, IsSoftmaxAttention) {
  const auto [heads, kv_heads, dim] = GetParam();
  LayerCache reference;
  reference.write(keys_.view({kLength, kv_heads, dim}), values_.view({kLength, kv_heads, dim}), 0);
  const at::Tensor expected = cached_attention(queries_.view({kLength, heads, dim}), reference, 0);
  EXPECT_LT((run({kLength}) - expected).abs().max().item<double>(), 1e-5);
}

TEST_P(FloatAttention, IsTheSameHoweverTheTokensCome) {
  const at::Tensor whole = run({kLength});
  EXPECT_TRUE(at::equal(run({1, 2, 17, 100, 103, 256, 257, 299, 300}), whole));
  std::vector<int64_t> one_by_one(kLength);
  std::iota(one_by_one.begin(), one_by_one.end(), 1);
  EXPECT_TRUE(at::equal(run(one_by_one), whole));
}

INSTANTIATE_TEST_SUITE_P(Shapes, FloatAttention,
                         testing::Values(Shape{9, 3, 64}, Shape{4, 4, 8}, Shape{32, 8, 24}, Shape{2, 1, 128}));

}  // namespace
}  // namespace ichigo
