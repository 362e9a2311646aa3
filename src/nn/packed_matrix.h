// A weight matrix for inference on the processor: float32, bfloat16 or GGUF's blocks of 8 and 4 bits behind one face,
// laid out for nn/kernels/matrix_kernels, whatever the number of vectors. Products are summed in float32; vectors are
// rounded to bfloat16 for bfloat16 weights, to a signed byte and a scale per 32 values for blocks (as llama.cpp does).
// Not here: gradients (training uses dense tensors).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "nn/kernels/matrix_kernels.h"
#include "weights/weight_file.h"

namespace ichigo {

using kernels::MatrixType;
std::string name_of(MatrixType type);  // "float32", "bfloat16", "q8_0", "q4_0"
// How a matrix that is stored like this is computed with, unless asked otherwise: blocks keep their 4 or (rounded up) 8
// bits, everything else becomes bfloat16, on every processor: float32 would take twice the memory and, token by token,
// twice the time.
MatrixType natural_type(const std::optional<BlockType>& stored);

// Some float vectors, converted once for all matrices of one type and width that they are multiplied with.
class PackedVectors {
 public:
  // x [vectors, columns] in rows of `columns`.
  void assign(const float* x, int64_t vectors, int64_t columns, MatrixType type);
  int64_t count() const { return count_; }
  MatrixType type() const { return type_; }
  const kernels::VectorsView& view() const { return view_; }

 private:
  MatrixType type_ = MatrixType::kFloat32;
  int64_t count_ = 0;
  kernels::VectorsView view_;
  std::vector<float> floats_, scales_;
  std::vector<uint16_t> bfloat16_;
  std::vector<int8_t> bytes_;
  std::vector<int32_t> shifts_;
};

class PackedMatrix {
 public:
  PackedMatrix() = default;
  // The rows of all parts below each other. Parts that are stored in blocks of the type keep their bits; others are
  // rounded. Throws Error when parts differ in width.
  PackedMatrix(const std::vector<MatrixRows>& parts, MatrixType type);

  MatrixType type() const { return type_; }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t bytes() const { return data_.defined() ? data_.numel() : 0; }
  // The panels one behind another, as nn/kernels/matrix_kernels describes them -> to [bytes()].
  void copy_panels(uint8_t* to) const;
  // Row `row` in float32 -> out [columns].
  void read_row(int64_t row, float* out) const;
  // y[v * rows() + r] = (with add: +=) row r times vector v, on all threads. x must have this type and width.
  void multiply(const PackedVectors& x, float* y, bool add = false) const;

 private:
  uint8_t* panel(int64_t index) const;
  void pack_panel(const std::vector<MatrixRows>& parts, int64_t index, std::vector<float>& scratch) const;

  MatrixType type_ = MatrixType::kFloat32;
  kernels::InstructionSet instructions_ = kernels::InstructionSet::kPortable;
  int64_t rows_ = 0, columns_ = 0, padded_columns_ = 0;
  at::Tensor data_;  // uint8
  uint8_t* panels_ = nullptr;
};

}  // namespace ichigo
