// Rotary position embedding (Su et al. 2021) in Llama's halves layout.
#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

#include "weights/rope_frequencies.h"

namespace ichigo {

// Cosines and sines of positions [0, positions) as float32 [positions, head_dim / 2] each, grown when asked for more.
class RotaryTable {
 public:
  RotaryTable(int64_t head_dim, double theta, const std::optional<RopeScaling>& scaling);
  void reserve(int64_t positions, at::Device device);
  const at::Tensor& cosine() const { return cosine_; }
  const at::Tensor& sine() const { return sine_; }

 private:
  at::Tensor inverse_frequencies_, cosine_, sine_;
};

// x [time, heads, head_dim] at positions offset, offset + 1... -> rotated copy. No gradient on the CPU's fast path.
at::Tensor rotate_positions(const at::Tensor& x, const RotaryTable& table, int64_t offset);
// The same by plain tensor operations for any positions int64 [time].
at::Tensor rotate_reference(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions);

}  // namespace ichigo
