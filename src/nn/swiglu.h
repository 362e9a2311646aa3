// SwiGLU's gate (Shazeer 2020): silu(gate) * up.
#pragma once
#include <ATen/core/Tensor.h>

namespace ichigo {

// Two tensors of one shape -> the same shape and type. Fused with its gradient on the CPU.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
// The same by plain tensor operations: what the fused one is tested against, and what runs on a GPU.
at::Tensor swiglu_reference(const at::Tensor& gate, const at::Tensor& up);

}  // namespace ichigo
