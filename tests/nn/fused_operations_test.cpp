// The fused operations with their gradients, against plain tensor operations and libtorch's own autograd.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/linear_cross_entropy.h"
#include "nn/packed_attention.h"
#include "nn/rms_norm.h"
#include "nn/swiglu.h"

namespace ichigo {
namespace {

using Inputs = std::vector<at::Tensor>;
using Operation = std::function<at::Tensor(const Inputs&)>;

at::Tensor leaf(at::IntArrayRef shape, at::ScalarType dtype, double scale = 1.0) {
  return (at::randn(shape) * scale).to(dtype).set_requires_grad(true);
}

// Largest difference relative to the largest value.
double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / (b.abs().max() + 1e-12)).item<double>();
}

// Values and all gradients of `fused` (in the inputs' type) against `reference` on the same values in float32.
void compare(const Operation& fused, const Operation& reference, const Inputs& inputs, double tolerance) {
  Inputs wide;
  for (const auto& input : inputs) wide.push_back(input.detach().to(at::kFloat).set_requires_grad(true));
  const at::Tensor a = fused(inputs);
  const at::Tensor b = reference(wide);
  EXPECT_LT(difference(a.detach().to(at::kFloat), b.detach()), tolerance);
  const at::Tensor weights = at::randn(b.sizes());
  torch::autograd::backward({(a.to(at::kFloat) * weights).sum()});
  torch::autograd::backward({(b * weights).sum()});
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(difference(inputs[i].grad().to(at::kFloat), wide[i].grad()), tolerance) << "gradient of input " << i;
  }
}

class FusedOperations : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(5); }
  // bfloat16 keeps 8 bits; float32 kernels differ from libtorch's by the order of sums.
  double tolerance() const { return GetParam() == at::kFloat ? 2e-5 : 2e-2; }
};

TEST_P(FusedOperations, RmsNorm) {
  compare([](const Inputs& x) { return rms_norm(x[0], x[1], 1e-5); },
          [](const Inputs& x) { return rms_norm_reference(x[0], x[1], 1e-5); },
          {leaf({37, 72}, GetParam()), leaf({72}, GetParam())}, tolerance());
}

TEST_P(FusedOperations, SwiGlu) {
  compare([](const Inputs& x) { return swiglu(x[0], x[1]); }, [](const Inputs& x) { return swiglu_reference(x[0], x[1]); },
          {leaf({29, 133}, GetParam(), 4.0), leaf({29, 133}, GetParam())}, tolerance());
}

TEST_P(FusedOperations, PackedAttention) {
  RotaryTable rotary(16, 10000.0, std::nullopt);
  rotary.reserve(64, at::kCPU);
  const std::vector<int64_t> lengths = {5, 1, 33, 20};
  const PackedSequences sequences(lengths, at::kCPU);
  for (const auto& attention : {packed_attention, packed_attention_side_by_side}) {
    compare([&](const Inputs& x) { return attention(x[0], x[1], x[2], sequences, 16, rotary); },
            [&](const Inputs& x) { return packed_attention_reference(x[0], x[1], x[2], lengths, 16, rotary); },
            {leaf({59, 6 * 16}, GetParam()), leaf({59, 2 * 16}, GetParam()), leaf({59, 2 * 16}, GetParam())},
            tolerance());
  }
}

TEST_P(FusedOperations, LinearCrossEntropy) {
  const at::Tensor targets = at::randint(301, {70}, at::kLong);
  compare([&](const Inputs& x) { return linear_cross_entropy(x[0], x[1], targets, 32); },
          [&](const Inputs& x) { return linear_cross_entropy_reference(x[0], x[1], targets); },
          {leaf({70, 48}, GetParam()), leaf({301, 48}, GetParam(), 0.5)}, tolerance());
}

INSTANTIATE_TEST_SUITE_P(Types, FusedOperations, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return info.param == at::kFloat ? "float32" : "bfloat16"; });

TEST(PackedAttention, SequencesDoNotSeeEachOther) {
  RotaryTable rotary(8, 10000.0, std::nullopt);
  rotary.reserve(32, at::kCPU);
  const at::Tensor q = at::randn({12, 16}), k = at::randn({12, 16}), v = at::randn({12, 16});
  const at::Tensor together = packed_attention(q, k, v, {{7, 5}, at::kCPU}, 8, rotary);
  const at::Tensor alone =
      packed_attention(q.slice(0, 7), k.slice(0, 7), v.slice(0, 7), {{5}, at::kCPU}, 8, rotary);
  EXPECT_LT((together.slice(0, 7) - alone).abs().max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace ichigo
