// Packed matrices against plain float64 products, for every instruction set of this processor.
#include "nn/packed_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "weights/block_quantization.h"

namespace ichigo {
namespace {

constexpr MatrixType kTypes[] = {MatrixType::kFloat32, MatrixType::kBFloat16, MatrixType::kQ8_0, MatrixType::kQ4_0};

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(shape);
}

std::vector<float> multiply(const PackedMatrix& matrix, const at::Tensor& x, bool add = false) {
  PackedVectors vectors;
  vectors.assign(x.const_data_ptr<float>(), x.size(0), x.size(1), matrix.type());
  std::vector<float> y(static_cast<size_t>(x.size(0) * matrix.rows()), 1.0F);
  matrix.multiply(vectors, y.data(), add);
  return y;
}

// The matrix as it was rounded, read back.
at::Tensor rounded(const PackedMatrix& matrix) {
  at::Tensor rows = at::empty({matrix.rows(), matrix.columns()});
  for (int64_t r = 0; r < matrix.rows(); ++r) matrix.read_row(r, rows[r].data_ptr<float>());
  return rows;
}

// Vectors as PackedVectors rounds them, by the definition: to bfloat16, or to 127 steps of each 32 values' largest.
at::Tensor rounded_vectors(const at::Tensor& x, MatrixType type) {
  if (type == MatrixType::kFloat32) return x;
  if (type == MatrixType::kBFloat16) return x.to(at::kBFloat16).to(at::kFloat);
  const int64_t padding = (32 - x.size(1) % 32) % 32;
  const at::Tensor blocks = at::constant_pad_nd(x, {0, padding}).view({x.size(0), -1, 32});
  const at::Tensor scale = blocks.abs().amax(-1, true) / 127;
  return (at::round(blocks / scale.clamp_min(1e-30)) * scale).view({x.size(0), -1}).slice(1, 0, x.size(1));
}

class PackedMatrices : public testing::TestWithParam<MatrixType> {};

TEST_P(PackedMatrices, MultiplyLikeTheWeightsThatTheyHold) {
  for (const auto& [rows, columns] : {std::pair{64, 576}, {17, 32}, {5, 64}, {100, 96}}) {
    const at::Tensor weights = random({rows, columns}, 1);
    const PackedMatrix matrix({rows_of(weights)}, GetParam());
    const at::Tensor held = rounded(matrix);
    const double coarseness = GetParam() == MatrixType::kQ4_0 ? 0.4 : GetParam() == MatrixType::kQ8_0 ? 0.03 : 0.02;
    EXPECT_LT((held - weights).abs().max().item<double>(), coarseness);
    for (const int64_t count : {1, 2, 5, 12, 13, 40}) {
      const at::Tensor x = random({count, columns}, 2);
      const at::Tensor expected = at::mm(rounded_vectors(x, GetParam()).to(at::kDouble), held.to(at::kDouble).t());
      const auto y = multiply(matrix, x);
      const at::Tensor got = at::tensor(y).view({count, rows}).to(at::kDouble);
      EXPECT_LT(((got - expected).abs().max() / expected.abs().max()).item<double>(), 1e-5) << rows << "x" << columns;
      const at::Tensor added = at::tensor(multiply(matrix, x, true)).view({count, rows}).to(at::kDouble);
      EXPECT_LT((added - got - 1).abs().max().item<double>(), 1e-4);
    }
  }
}

TEST_P(PackedMatrices, GiveAVectorTheSameWhateverStandsBesideIt) {
  const PackedMatrix matrix({rows_of(random({80, 320}, 3))}, GetParam());
  const at::Tensor x = random({29, 320}, 4);
  const auto together = multiply(matrix, x);
  for (int64_t v = 0; v < 29; ++v) {
    const auto alone = multiply(matrix, x.slice(0, v, v + 1).contiguous());
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + v * 80)) << v;
  }
}

TEST_P(PackedMatrices, KernelsOfAllInstructionSetsAgree) {
  const int64_t columns = 160, vectors = 7, rows = 16;
  const PackedMatrix matrix({rows_of(random({rows, columns}, 5))}, GetParam());
  const at::Tensor x = random({vectors, columns}, 6), held = rounded(matrix);
  PackedVectors packed;
  packed.assign(x.const_data_ptr<float>(), vectors, columns, GetParam());
  std::vector<uint8_t> panel(static_cast<size_t>(matrix.bytes()));
  matrix.copy_panels(panel.data());
  const at::Tensor expected = at::mm(rounded_vectors(x, GetParam()), held.t());
  for (const auto set :
       {kernels::InstructionSet::kPortable, kernels::InstructionSet::kAvx2, kernels::InstructionSet::kAvx512}) {
    if (!kernels::supported(set, GetParam())) continue;
    at::Tensor y = at::zeros({vectors, rows});
    kernels::multiply_panel(set, GetParam(), panel.data(), packed.view(), vectors, y.data_ptr<float>(), rows, 11,
                            false);
    EXPECT_LT((y - expected).slice(1, 0, 11).abs().max().item<double>(), 1e-4) << kernels::name_of(set);
    EXPECT_EQ(y.slice(1, 11).abs().max().item<double>(), 0) << "rows beyond the last are not written";
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackedMatrices, testing::ValuesIn(kTypes),
                         [](const auto& type) { return name_of(type.param); });

TEST(PackedMatrix, KeepsStoredBlocksAsTheyAre) {
  for (const auto& [blocks, type] :
       {std::pair{BlockType::kQ8_0, MatrixType::kQ8_0}, {BlockType::kQ4_0, MatrixType::kQ4_0}}) {
    const at::Tensor stored = quantize_blocks(random({48, 128}, 7), blocks);
    const int64_t row_bytes = stored.size(1);
    const auto* bytes = static_cast<const std::byte*>(stored.const_data_ptr());
    const auto at_row = [&](int64_t row) { return bytes + row * row_bytes; };
    MatrixRows rows{48, 128, [](int64_t, float*) { FAIL() << "blocks of the same type need no rounding"; }, blocks,
                    at_row};
    const at::Tensor expected = dequantize_blocks(blocks, {bytes, static_cast<size_t>(stored.numel())}, {48, 128});
    EXPECT_TRUE(at::equal(rounded(PackedMatrix({rows}, type)), expected));
  }
}

TEST(PackedMatrix, StandsOnSeveralParts) {
  const at::Tensor a = random({20, 64}, 8), b = random({7, 64}, 9);
  const PackedMatrix matrix({rows_of(a), rows_of(b)}, MatrixType::kFloat32);
  EXPECT_TRUE(at::equal(rounded(matrix), at::cat({a, b})));
}

TEST(PackedMatrix, RefusesWhatDoesNotFit) {
  const PackedMatrix matrix({rows_of(at::ones({16, 64}))}, MatrixType::kQ8_0);
  PackedVectors vectors;
  std::vector<float> x(96), y(16);
  vectors.assign(x.data(), 1, 96, MatrixType::kQ8_0);
  EXPECT_THROW(matrix.multiply(vectors, y.data()), Error);
  vectors.assign(x.data(), 1, 64, MatrixType::kBFloat16);
  EXPECT_THROW(matrix.multiply(vectors, y.data()), Error);
  EXPECT_THROW(PackedMatrix({rows_of(at::ones({16, 64})), rows_of(at::ones({16, 32}))}, MatrixType::kQ8_0), Error);
  EXPECT_THROW(PackedMatrix({rows_of(at::full({16, 64}, INFINITY))}, MatrixType::kQ4_0), Error);
  EXPECT_THROW(rows_of(at::ones({3})), Error);
}

}  // namespace
}  // namespace ichigo
