// Walking over the rows of float32 or bfloat16 tensors as float rows: what every fused CPU operation shares.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "nn/kernels/row_kernels.h"

namespace ichigo::rows {

// A reader or writer of rows [count, width]; bfloat16 passes through a float buffer of the caller's.
class Rows {
 public:
  explicit Rows(const at::Tensor& tensor) : width_(tensor.size(-1)), bf16_(tensor.scalar_type() == at::kBFloat16) {
    require(tensor.is_contiguous() && (bf16_ || tensor.scalar_type() == at::kFloat),
            "fused CPU operations take contiguous float32 or bfloat16 tensors, not ", tensor.toString());
    data_ = tensor.data_ptr();
  }
  const float* read(int64_t row, float* buffer) const {
    if (!bf16_) return static_cast<const float*>(data_) + row * width_;
    kernels::widen(static_cast<const uint16_t*>(data_) + row * width_, buffer, width_);
    return buffer;
  }
  // Where to compute the row; write() then stores it.
  float* target(int64_t row, float* buffer) const {
    return bf16_ ? buffer : static_cast<float*>(data_) + row * width_;
  }
  void write(int64_t row, const float* buffer) const {
    if (bf16_) kernels::narrow(buffer, static_cast<uint16_t*>(data_) + row * width_, width_);
  }
  int64_t width() const { return width_; }

 private:
  void* data_;
  int64_t width_;
  bool bf16_;
};

// Calls body(first, last) on ranges of rows, on all threads; ranges are the same for the same number of threads.
template <typename Body>
void parallel(int64_t count, const Body& body) {
  const int64_t threads = std::max<int64_t>(1, at::get_num_threads());
  at::parallel_for(0, count, std::max<int64_t>(8, (count + threads - 1) / threads), body);
}

}  // namespace ichigo::rows
