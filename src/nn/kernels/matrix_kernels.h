// The inner loops of nn/packed_matrix: sixteen rows of a weight matrix times a few vectors, per instruction set.
// Not here: packing, threads.
//
// A panel holds sixteen rows of W, column by column, so that one 64-byte load serves all sixteen; columns are padded
// with zeros to a multiple of 32:
//   float32   per column 16 floats
//   bfloat16  per pair of columns 16 x 2 bfloat16
//   q8_0      per 32 columns 16 float16 scales, then per 4 columns 16 x 4 bytes: weight + 128
//   q4_0      per 32 columns 16 float16 scales, then four times 16 x 4 bytes: columns 4j... in the low halves,
//             columns 4j + 16... in the high halves: weight + 8
// What a vector gives does not depend on the vectors beside it, bit by bit.
#pragma once
#include <cstdint>

namespace ichigo::kernels {

enum class MatrixType : uint8_t { kFloat32, kBFloat16, kQ8_0, kQ4_0 };

constexpr int64_t kPanelRows = 16, kBlockColumns = 32;

// Bytes of one panel of `columns` (a multiple of kBlockColumns).
constexpr int64_t panel_bytes(MatrixType type, int64_t columns) {
  switch (type) {
    case MatrixType::kFloat32:
      return columns * kPanelRows * 4;
    case MatrixType::kBFloat16:
      return columns * kPanelRows * 2;
    case MatrixType::kQ8_0:
      return columns / kBlockColumns * (32 + 512);
    case MatrixType::kQ4_0:
      return columns / kBlockColumns * (32 + 256);
  }
  return 0;
}

// Vectors to multiply with, one behind another, in the form that the matrix's type asks for: floats, bfloat16, or
// signed bytes with a scale per 32 of them.
struct VectorsView {
  const float* floats = nullptr;
  const uint16_t* bfloat16 = nullptr;
  const int8_t* bytes = nullptr;
  const float* scales = nullptr;    // [vectors, columns / 32]
  const int32_t* shifts = nullptr;  // [vectors, columns / 32]: minus the block's sum times what was added to weights
  int64_t columns = 0;              // padded
  int64_t stride = 0;               // elements from one vector to the next, of floats, bfloat16 and bytes
};

enum class InstructionSet : uint8_t { kPortable, kAvx2, kAvx512 };
constexpr const char* name_of(InstructionSet set) {
  return set == InstructionSet::kAvx512 ? "AVX-512" : set == InstructionSet::kAvx2 ? "AVX2" : "portable";
}
// Whether this processor has what the kernel of this type needs (AVX-512: with VNNI or BF16).
bool supported(InstructionSet set, MatrixType type);
InstructionSet fastest(MatrixType type);

// y[v * y_stride + r] = (or +=) panel row r times vector v, for r < rows <= 16 and any number of vectors.
void multiply_panel(InstructionSet set, MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors,
                    float* y, int64_t y_stride, int64_t rows, bool add);

// The same for one instruction set; multiply_panel chooses among them.
void multiply_panel_portable(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                             int64_t y_stride, int64_t rows, bool add);
void multiply_panel_avx2(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                         int64_t y_stride, int64_t rows, bool add);
void multiply_panel_avx512(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                           int64_t y_stride, int64_t rows, bool add);

// One row of 32 * blocks floats as signed bytes with scales (largest magnitude / 127) and shifts, as VectorsView has
// them; `added` is 128 for q8_0, 8 for q4_0.
void quantize_vector(const float* x, int64_t blocks, int32_t added, int8_t* bytes, float* scales, int32_t* shifts);

}  // namespace ichigo::kernels
