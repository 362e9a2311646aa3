// The output head and its cross entropy in one operation that never holds all logits: rows are taken in chunks, and
// each chunk's gradients are computed while its logits are at hand.
#pragma once
#include <ATen/core/Tensor.h>

namespace ichigo {

// hidden [rows, width], weight [vocabulary, width], targets int64 [rows] -> float32 scalar: the SUM of
// -log softmax(hidden weight^T)[target]. Every row counts: select the target positions before.
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t chunk_rows = 512);
// The same by plain tensor operations.
at::Tensor linear_cross_entropy_reference(const at::Tensor& hidden, const at::Tensor& weight,
                                          const at::Tensor& targets);

}  // namespace ichigo
