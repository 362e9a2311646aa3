// One pass of AdamW over a run of elements. The formulas stand in training/optimizer.cpp; plain loops that the compiler
// vectorises for the processor found at run time.
#pragma once
#include <cstdint>

namespace ichigo::kernels {

struct AdamWStep {
  float gradient_scale;  // of the accumulated gradient, clipping included
  float decay;           // 1 - learning_rate * weight_decay
  float beta1, beta2;
  float step_size;          // learning_rate / (1 - beta1^t)
  float second_correction;  // sqrt(1 - beta2^t)
  float epsilon;
};

void adamw(int64_t count, const AdamWStep& step, const float* gradient, float* master, float* first, float* second);
double sum_of_squares(int64_t count, const float* values);
void add_bfloat16(const uint16_t* from, float* to, int64_t count);
void add_float(const float* from, float* to, int64_t count);

}  // namespace ichigo::kernels
