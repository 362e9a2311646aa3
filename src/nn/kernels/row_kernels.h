// The inner loops of the fused CPU operations, over one row of floats, compiled for several instruction sets and
// chosen at run time. Not here: threads, tensors, gradients' wiring (nn/rms_norm, nn/swiglu...).
#pragma once
#include <cstdint>

namespace ichigo::kernels {

// The next multiple from `value` on.
constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// bfloat16 is the upper half of a float32; rounding is to nearest even.
void widen(const uint16_t* from, float* to, int64_t count);
void narrow(const float* from, uint16_t* to, int64_t count);

// y = x * rstd * weight; returns rstd = 1 / sqrt(mean(x^2) + epsilon).
float rms_norm(const float* x, const float* weight, int64_t count, float epsilon, float* y);
// dx of the above, and adds to dweight.
void rms_norm_backward(const float* x, const float* weight, const float* dy, float rstd, int64_t count, float* dx,
                       float* dweight);

// y = gate * sigmoid(gate) * up
void swiglu(const float* gate, const float* up, int64_t count, float* y);
void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count, float* dgate, float* dup);

// Rotates pairs (i, i + half) of x [2 * half] by the angles whose cosines and sines are given; sign -1 turns back. y may
// be x.
void rotate(const float* x, const float* cosine, const float* sine, int64_t half, float sign, float* y);

// x = softmax(scale * x), and its gradient: dy becomes scale * y * (dy - dot(y, dy)).
void softmax(float* x, int64_t count, float scale);
void softmax_backward(const float* y, float* dy, int64_t count, float scale);

// c[0..rows)[0..columns) (+)= sum over k in [inner_begin, inner_end) of a[r * a_row + k * a_inner] * b[k * b_row + column]:
// the block that small matrix products are made of. columns must be a multiple of kTileColumns, rows at most kTileRows.
constexpr int64_t kTileRows = 8, kTileColumns = 16;
void tile_product(const float* a, int64_t a_row, int64_t a_inner, int64_t inner_begin, int64_t inner_end,
                  const float* b, int64_t b_row, float* c, int64_t c_row, int64_t columns, bool add,
                  int64_t rows = kTileRows);

// Softmax cross entropy of one row of logits: returns log(sum(exp)) - logits[target] and overwrites the logits with
// its gradient (softmax - one_hot(target)).
float cross_entropy_gradient(float* logits, int64_t count, int64_t target);

}  // namespace ichigo::kernels
