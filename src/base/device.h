// The only place that knows cpu from cuda.
#pragma once
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace ichigo {

// "cpu", "cuda", "cuda:1" or "auto" (cuda where there is one). Throws Error on another name or a missing GPU.
c10::Device parse_device(const std::string& name);
// The type that weights and activations are computed in: bfloat16 where the device multiplies it fast, else float32.
c10::ScalarType fast_dtype(const c10::Device& device);
// "auto" (fast_dtype of the device), "float32" or "bfloat16". Throws Error on another name.
c10::ScalarType parse_dtype(const std::string& name, const c10::Device& device);
// Limits libtorch to this many threads (0: one for each processor that the system counts). Throws Error on a negative
// count.
void set_threads(int threads);

// Keeps freed memory in the process instead of returning it to the system: training frees and asks for the same large
// tensors in every step, and fresh pages cost more than the arithmetic of small operations.
void keep_freed_memory();

}  // namespace ichigo
