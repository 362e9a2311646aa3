// Root mean square normalisation (Zhang and Sennrich 2019) as Llama uses it: statistics in float32.
#pragma once
#include <ATen/core/Tensor.h>

namespace ichigo {

// x [..., width], weight [width] -> the same shape and type. Fused with its gradient on the CPU.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
// The same by plain tensor operations: what the fused one is tested against, and what runs on a GPU.
at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace ichigo
