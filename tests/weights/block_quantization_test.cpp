#include "weights/block_quantization.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "files.h"
#include "golden.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

TEST(BlockQuantization, MatchesGgmlBitForBit) {
  ICHIGO_GOLDEN_OR_SKIP(path, "gguf/blocks.safetensors");
  const auto golden = open_safetensors(path);
  for (const auto type : {BlockType::kQ8_0, BlockType::kQ4_0}) {
    const std::string name = block_name(type);
    const at::Tensor values = golden->load(name + "/values");
    EXPECT_TRUE(dequantize_blocks(type, bytes_of(golden->load(name + "/bytes")), values.sizes()).equal(values));
    EXPECT_TRUE(quantize_blocks(golden->load(name + "/to_quantise"), type).equal(golden->load(name + "/quantised")));
  }
  for (const auto type : {BlockType::kQ4_K, BlockType::kQ6_K}) {
    const std::string name = block_name(type);
    const at::Tensor blocks = golden->load(name + "/bytes"), values = golden->load(name + "/values");
    EXPECT_TRUE(dequantize_blocks(type, bytes_of(blocks), values.sizes()).equal(values)) << name;
    EXPECT_TRUE(
        dequantize_blocks(type, bytes_of(blocks), values.sizes(), at::kBFloat16).equal(values.to(at::kBFloat16)))
        << name;
  }
}

// Made by the Python package gguf's own quantiser and dequantiser.
TEST(BlockQuantization, MatchesThePythonPackageInEveryType) {
  ICHIGO_GOLDEN_OR_SKIP(path, "weights/python_blocks.safetensors");
  const auto golden = open_safetensors(path);
  const at::Tensor values = golden->load("values");
  for (const auto type : {BlockType::kQ4_0, BlockType::kQ4_1, BlockType::kQ5_0, BlockType::kQ5_1, BlockType::kQ8_0}) {
    const std::string name = block_name(type);
    const at::Tensor blocks = golden->load(name + "/bytes");
    EXPECT_TRUE(quantize_blocks(values, type).equal(blocks)) << name;
    EXPECT_TRUE(dequantize_blocks(type, bytes_of(blocks), values.sizes()).equal(golden->load(name + "/values")))
        << name;
  }
}

TEST(BlockQuantization, Bfloat16IsTheRoundedFloat) {
  const at::Tensor values = at::randn({40, 96});
  for (const auto type : {BlockType::kQ4_0, BlockType::kQ4_1, BlockType::kQ5_0, BlockType::kQ5_1, BlockType::kQ8_0}) {
    const at::Tensor blocks = quantize_blocks(values, type);
    const at::Tensor expected = dequantize_blocks(type, bytes_of(blocks), values.sizes()).to(at::kBFloat16);
    EXPECT_TRUE(dequantize_blocks(type, bytes_of(blocks), values.sizes(), at::kBFloat16).equal(expected))
        << block_name(type);
  }
}

TEST(BlockQuantization, RefusesWhatDoesNotFit) {
  test::expect_error([] { quantize_blocks(at::zeros({2, 33}), BlockType::kQ8_0); }, "multiple of 32");
  test::expect_error([] { quantize_blocks(at::full({1, 32}, NAN), BlockType::kQ5_1); }, "not finite");
  test::expect_error([] { quantize_blocks(at::zeros({2, 256}), BlockType::kQ6_K); }, "Q6_K is only read");
  const at::Tensor blocks = quantize_blocks(at::zeros({2, 64}), BlockType::kQ8_0);
  test::expect_error([&] { dequantize_blocks(BlockType::kQ8_0, bytes_of(blocks), {2, 96}); }, "136 bytes");
}

}  // namespace
}  // namespace ichigo
