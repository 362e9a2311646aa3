// Block dequantisation, one thread; the instruction set is chosen at run time.
#pragma once
#include <c10/util/BFloat16.h>

#include "weights/block_quantization.h"

namespace ichigo {

// `count` whole blocks -> block_weights * count weights, bit-exact; bfloat16 is rounded to nearest even.
void dequantize_to_float(BlockType type, const uint8_t* blocks, int64_t count, float* out);
void dequantize_to_bfloat16(BlockType type, const uint8_t* blocks, int64_t count, c10::BFloat16* out);

}  // namespace ichigo
