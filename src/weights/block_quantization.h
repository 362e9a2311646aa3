// The block formats of GGUF: the weights of a block share a scale (and a minimum). Reference: ggml's block definitions.
// Q8_0 34 bytes, Q4_0 18, Q4_1 20, Q5_0 22, Q5_1 24 bytes for 32 weights; Q4_K 144, Q6_K 210 bytes for 256, in which
// groups of 32 or 16 have scales of their own. The K formats are read, not written.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ichigo {

enum class BlockType { kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ6_K };

int64_t block_weights(BlockType type);  // weights in a block
int64_t block_bytes(BlockType type);
std::string block_name(BlockType type);                            // "Q8_0"
std::optional<BlockType> parse_block_type(std::string_view name);  // of either case

// The bytes of `elements` weights, of which each row has whole blocks.
int64_t blocks_bytes(BlockType type, int64_t elements);

// float32 [rows, columns] -> uint8 [rows, columns / block_weights * block_bytes]. columns must be a multiple of
// block_weights. Throws Error for a type that is only read.
at::Tensor quantize_blocks(const at::Tensor& weights, BlockType type);
// `count` finite weights, whole blocks, -> out[0..blocks_bytes(type, count)).
void quantize_blocks(BlockType type, const float* weights, int64_t count, std::byte* out);
// `count` weights out of blocks -> out[0..count).
void dequantize_blocks(BlockType type, const std::byte* blocks, int64_t count, float* out);
// The same as a tensor of `shape`, in float32 or bfloat16, on all threads.
at::Tensor dequantize_blocks(BlockType type, std::span<const std::byte> blocks, at::IntArrayRef shape,
                             at::ScalarType dtype = at::kFloat);

}  // namespace ichigo
