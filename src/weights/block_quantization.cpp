// Quantisation follows ggml's reference quantisers, so that files are the same bytes.
#include "weights/block_quantization.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Half.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/clones.h"
#include "base/error.h"
#include "weights/dequantize.h"

namespace ichigo {
namespace {

struct Format {
  BlockType type;
  const char* name;
  int64_t weights, bytes;
};
constexpr Format kFormats[] = {{BlockType::kQ4_0, "Q4_0", 32, 18},  {BlockType::kQ4_1, "Q4_1", 32, 20},
                               {BlockType::kQ5_0, "Q5_0", 32, 22},  {BlockType::kQ5_1, "Q5_1", 32, 24},
                               {BlockType::kQ8_0, "Q8_0", 32, 34},  {BlockType::kQ4_K, "Q4_K", 256, 144},
                               {BlockType::kQ6_K, "Q6_K", 256, 210}};
constexpr int64_t kGrain = 1024;  // blocks for one thread at least

const Format& format(BlockType type) {
  return kFormats[static_cast<size_t>(type)];
}

void write_half(float value, uint8_t* out) {
  const auto bits = c10::Half(value).x;
  std::memcpy(out, &bits, sizeof(bits));
}

// The whole numbers of 4 or 5 bits of a block, in ggml's order of bits.
void pack(const uint8_t* whole, bool fifth_bit, uint8_t* out) {
  if (fifth_bit) {
    uint32_t high = 0;
    for (uint32_t j = 0; j < 32; ++j) high |= static_cast<uint32_t>(whole[j] >> 4) << j;
    std::memcpy(out, &high, sizeof(high));
    out += sizeof(high);
  }
  for (int j = 0; j < 16; ++j) out[j] = static_cast<uint8_t>((whole[j] & 15) | (whole[j + 16] & 15) << 4);
}

ICHIGO_CLONES void quantize_8(const float* x, uint8_t* out) {
  uint32_t bits = 0;  // of non-negative floats are in their order
  for (int j = 0; j < 32; ++j) bits = std::max(bits, std::bit_cast<uint32_t>(std::fabs(x[j])));
  const float scale = std::bit_cast<float>(bits) / 127.0F;
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  write_half(scale, out);
  for (int j = 0; j < 32; ++j) {  // to the nearest, halves away from zero
    const float magnitude = std::fabs(x[j] * inverse);
    const auto below = static_cast<int32_t>(magnitude);
    const int32_t whole = below + (magnitude - static_cast<float>(below) >= 0.5F ? 1 : 0);
    out[2 + j] = static_cast<uint8_t>(x[j] < 0.0F ? -whole : whole);
  }
}

// Symmetric: the value of the largest magnitude becomes the lowest whole number.
void quantize_symmetric(const float* x, int bits, uint8_t* out) {
  float largest = 0.0F, signed_largest = 0.0F;
  for (int j = 0; j < 32; ++j) {
    if (std::fabs(x[j]) > largest) {
      largest = std::fabs(x[j]);
      signed_largest = x[j];
    }
  }
  const int middle = 1 << (bits - 1);
  const float scale = signed_largest / static_cast<float>(-middle);
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  write_half(scale, out);
  uint8_t whole[32];
  for (int j = 0; j < 32; ++j) {
    const auto value = static_cast<int8_t>(x[j] * inverse + (static_cast<float>(middle) + 0.5F));
    whole[j] = static_cast<uint8_t>(std::min<int>(2 * middle - 1, value));
  }
  pack(whole, bits == 5, out + 2);
}

void quantize_affine(const float* x, int bits, uint8_t* out) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const int levels = (1 << bits) - 1;
  const float minimum = *low;
  const float scale = (*high - minimum) / static_cast<float>(levels);
  const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
  write_half(scale, out);
  write_half(minimum, out + 2);
  uint8_t whole[32];
  for (int j = 0; j < 32; ++j) {
    whole[j] = static_cast<uint8_t>(std::min<int>(levels, static_cast<int8_t>((x[j] - minimum) * inverse + 0.5F)));
  }
  pack(whole, bits == 5, out + 4);
}

void quantize_block(BlockType type, const float* x, uint8_t* out) {
  switch (type) {
    case BlockType::kQ4_0:
      return quantize_symmetric(x, 4, out);
    case BlockType::kQ4_1:
      return quantize_affine(x, 4, out);
    case BlockType::kQ5_0:
      return quantize_symmetric(x, 5, out);
    case BlockType::kQ5_1:
      return quantize_affine(x, 5, out);
    case BlockType::kQ8_0:
      return quantize_8(x, out);
    case BlockType::kQ4_K:
    case BlockType::kQ6_K:
      return;  // refused by quantize_blocks
  }
}

}  // namespace

int64_t block_weights(BlockType type) {
  return format(type).weights;
}

int64_t block_bytes(BlockType type) {
  return format(type).bytes;
}

int64_t blocks_bytes(BlockType type, int64_t elements) {
  return elements / block_weights(type) * block_bytes(type);
}

std::string block_name(BlockType type) {
  return format(type).name;
}

std::optional<BlockType> parse_block_type(std::string_view name) {
  std::string upper(name);
  if (!upper.empty() && upper[0] == 'q') upper[0] = 'Q';
  for (const auto& candidate : kFormats) {
    if (upper == candidate.name) return candidate.type;
  }
  return std::nullopt;
}

void quantize_blocks(BlockType type, const float* weights, int64_t count, std::byte* out) {
  const int64_t size = block_weights(type), bytes = block_bytes(type);
  auto* to = reinterpret_cast<uint8_t*>(out);
  for (int64_t i = 0; i < count / size; ++i) quantize_block(type, weights + i * size, to + i * bytes);
}

at::Tensor quantize_blocks(const at::Tensor& weights, BlockType type) {
  require(type != BlockType::kQ4_K && type != BlockType::kQ6_K, block_name(type),
          " is only read; store as Q8_0, Q5_1, Q5_0, Q4_1 or Q4_0");
  const int64_t size = block_weights(type);
  require(weights.dim() == 2 && weights.size(1) % size == 0, "only [rows, columns] with a multiple of ", size,
          " columns can be stored as ", block_name(type), ", not ", weights.sizes());
  const at::Tensor source = weights.to(at::kCPU, at::kFloat).contiguous();
  require(at::isfinite(source).all().item<bool>(), "weights that are not finite cannot be stored as ",
          block_name(type));
  const int64_t bytes = block_bytes(type);
  at::Tensor blocks = at::empty({source.size(0), blocks_bytes(type, source.size(1))}, at::kByte);
  const auto* from = source.const_data_ptr<float>();
  auto* to = blocks.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, source.numel() / size, kGrain, [&](int64_t begin, int64_t end) {
    quantize_blocks(type, from + begin * size, (end - begin) * size, reinterpret_cast<std::byte*>(to + begin * bytes));
  });
  return blocks;
}

void dequantize_blocks(BlockType type, const std::byte* blocks, int64_t count, float* out) {
  const int64_t size = block_weights(type);
  require(count % size == 0, count, " weights are not whole blocks of ", size);
  dequantize_to_float(type, reinterpret_cast<const uint8_t*>(blocks), count / size, out);
}

at::Tensor dequantize_blocks(BlockType type, std::span<const std::byte> blocks, at::IntArrayRef shape,
                             at::ScalarType dtype) {
  require(dtype == at::kFloat || dtype == at::kBFloat16, "blocks can be dequantised to float32 and bfloat16 only");
  at::Tensor out = at::empty(shape, dtype);
  const int64_t size = block_weights(type), bytes = block_bytes(type), count = out.numel() / size;
  require(out.numel() % size == 0 && static_cast<int64_t>(blocks.size()) == count * bytes, blocks.size(),
          " bytes are not ", block_name(type), " of shape ", shape);
  const auto* from = reinterpret_cast<const uint8_t*>(blocks.data());
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    if (dtype == at::kFloat) {
      dequantize_to_float(type, from + begin * bytes, end - begin, out.mutable_data_ptr<float>() + begin * size);
    } else {
      dequantize_to_bfloat16(type, from + begin * bytes, end - begin,
                             out.mutable_data_ptr<at::BFloat16>() + begin * size);
    }
  });
  return out;
}

}  // namespace ichigo
