// Source of the layouts: ggml's block definitions. In blocks of 32, weight j of the lower half is the low nibble of
// byte j, weight j + 16 the high nibble; the fifth bits are gathered in one 32-bit word. The products of a 16-bit float
// with the small whole numbers here fit into float32's 24 bits, so fused multiply-add changes no bit.
#include "weights/dequantize.h"

#include <c10/util/Half.h>

#include <bit>
#include <cstring>

#include "base/clones.h"

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

// Eight groups of 32 weights: value = scale * d - minimum * m, with 6-bit d and m per group packed into 12 bytes.
template <typename Out>
[[gnu::always_inline]] inline void decode_q4_k(const uint8_t* block, Out* out) {
  const float scale = read_half(block), minimum = read_half(block + 2);
  const uint8_t* packed = block + 4;
  const uint8_t* values = block + 16;
  for (int group = 0; group < 8; ++group) {
    const int low = group & 3;
    const int first = group < 4 ? packed[low] & 63 : (packed[low + 8] & 15) | (packed[low] >> 6) << 4;
    const int second = group < 4 ? packed[low + 4] & 63 : packed[low + 8] >> 4 | (packed[low + 4] >> 6) << 4;
    const float d = scale * static_cast<float>(first), m = minimum * static_cast<float>(second);
    // Two groups share 32 bytes: the even one has the low nibbles.
    const uint8_t* from = values + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j) store(d * static_cast<float>((from[j] >> shift) & 15) - m, out + group * 32 + j);
  }
}

// Sixteen groups of 16 weights: value = scale * d * (6-bit whole number - 32), d a signed byte per group.
template <typename Out>
[[gnu::always_inline]] inline void decode_q6_k(const uint8_t* block, Out* out) {
  const auto* scales = reinterpret_cast<const int8_t*>(block + 192);
  const float scale = read_half(block + 208);
  for (int half = 0; half < 2; ++half) {  // 128 weights: 64 bytes of low nibbles, 32 bytes of high pairs of bits
    const uint8_t* low = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int j = 0; j < 32; ++j) {
        const int nibble = (low[quarter % 2 * 32 + j] >> (quarter / 2 * 4)) & 15;
        const int whole = nibble | ((high[j] >> (quarter * 2)) & 3) << 4;
        const float d = scale * static_cast<float>(scales[half * 8 + quarter * 2 + j / 16]);
        store(d * static_cast<float>(whole - 32), out + half * 128 + quarter * 32 + j);
      }
    }
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
    case BlockType::kQ4_K:
      for (int64_t i = 0; i < count; ++i) decode_q4_k(blocks + i * 144, out + i * 256);
      break;
    case BlockType::kQ6_K:
      for (int64_t i = 0; i < count; ++i) decode_q6_k(blocks + i * 210, out + i * 256);
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
