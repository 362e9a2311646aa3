// One pass of an optimiser over a run of elements. The formulas stand in training/adamw.cpp, lion.cpp and
// adam_mini.cpp; plain loops that the compiler vectorises for the processor found at run time.
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

struct LionStep {
  float gradient_scale, decay;  // as above
  float beta1, beta2;
  float learning_rate;
};

struct MomentumStep {
  float gradient_scale, decay;  // as above
  float beta1;
  float step_size;  // the same for all elements
};

void adamw(int64_t count, const AdamWStep& step, const float* gradient, float* master, float* first, float* second);
void lion(int64_t count, const LionStep& step, const float* gradient, float* master, float* first);
void momentum(int64_t count, const MomentumStep& step, const float* gradient, float* master, float* first);
double sum_of_squares(int64_t count, const float* values);
void add_bfloat16(const uint16_t* from, float* to, int64_t count);
void add_float(const float* from, float* to, int64_t count);

}  // namespace ichigo::kernels
