// Source of the layouts: ggml's block definitions. Weight j of the lower half of a block is the low nibble of byte j,
// weight j + 16 the high nibble; the fifth bits are gathered in one 32-bit word.
// A product of a small whole number and a 16-bit float is exact in float32, so fused multiply-add changes no bit.
#include "weights/dequantize.h"

#include <c10/util/Half.h>

#include <bit>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ICHIGO_CLONES [[gnu::optimize("O3"), gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define ICHIGO_CLONES
#endif

namespace ichigo {
namespace {

template <typename T>
[[gnu::always_inline]] inline T read(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

[[gnu::always_inline]] inline float read_half(const uint8_t* bytes) {
  return c10::detail::fp16_ieee_to_fp32_value(read<uint16_t>(bytes));
}

[[gnu::always_inline]] inline void store(float value, float* out) {
  *out = value;
}

[[gnu::always_inline]] inline void store(float value, uint16_t* out) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  *out = static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
}

template <BlockType type, typename Out>
[[gnu::always_inline]] inline void decode(const uint8_t* block, Out* out) {
  constexpr bool minimum = type == BlockType::kQ4_1 || type == BlockType::kQ5_1;
  constexpr bool fifth_bit = type == BlockType::kQ5_0 || type == BlockType::kQ5_1;
  constexpr int middle = minimum ? 0 : fifth_bit ? 16 : 8;
  const float scale = read_half(block);
  if constexpr (type == BlockType::kQ8_0) {
    const auto* values = reinterpret_cast<const int8_t*>(block + 2);
    for (int j = 0; j < 32; ++j) store(static_cast<float>(values[j]) * scale, out + j);
    return;
  }
  const float low = minimum ? read_half(block + 2) : 0.0F;
  const uint8_t* values = block + (minimum ? 4 : 2);
  uint32_t high = 0;
  if constexpr (fifth_bit) {
    high = read<uint32_t>(values);
    values += 4;
  }
  int32_t whole[32];
  for (int j = 0; j < 16; ++j) {
    whole[j] = values[j] & 15;
    whole[j + 16] = values[j] >> 4;
  }
  if constexpr (fifth_bit) {
    for (uint32_t j = 0; j < 32; ++j) whole[j] |= static_cast<int32_t>((high >> j) & 1) << 4;
  }
  for (int j = 0; j < 32; ++j) {
    const float value = static_cast<float>(whole[j] - middle) * scale;
    store(minimum ? value + low : value, out + j);
  }
}

template <typename Out>
[[gnu::always_inline]] inline void decode_all(BlockType type, const uint8_t* blocks, int64_t count, Out* out) {
  switch (type) {
    case BlockType::kQ4_0:
      for (int64_t i = 0; i < count; ++i) decode<BlockType::kQ4_0>(blocks + i * 18, out + i * 32);
      break;
    case BlockType::kQ4_1:
      for (int64_t i = 0; i < count; ++i) decode<BlockType::kQ4_1>(blocks + i * 20, out + i * 32);
      break;
    case BlockType::kQ5_0:
      for (int64_t i = 0; i < count; ++i) decode<BlockType::kQ5_0>(blocks + i * 22, out + i * 32);
      break;
    case BlockType::kQ5_1:
      for (int64_t i = 0; i < count; ++i) decode<BlockType::kQ5_1>(blocks + i * 24, out + i * 32);
      break;
    case BlockType::kQ8_0:
      for (int64_t i = 0; i < count; ++i) decode<BlockType::kQ8_0>(blocks + i * 34, out + i * 32);
      break;
  }
}

ICHIGO_CLONES void decode_float(BlockType type, const uint8_t* blocks, int64_t count, float* out) {
  decode_all(type, blocks, count, out);
}

ICHIGO_CLONES void decode_bfloat16(BlockType type, const uint8_t* blocks, int64_t count, uint16_t* out) {
  decode_all(type, blocks, count, out);
}

}  // namespace

void dequantize_to_float(BlockType type, const uint8_t* blocks, int64_t count, float* out) {
  decode_float(type, blocks, count, out);
}

void dequantize_to_bfloat16(BlockType type, const uint8_t* blocks, int64_t count, c10::BFloat16* out) {
  decode_bfloat16(type, blocks, count, reinterpret_cast<uint16_t*>(out));
}

}  // namespace ichigo
