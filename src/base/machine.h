// What this machine can do at most, measured now with the threads that are set: figures are shares of these.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>

namespace ichigo {

// The best rate of a bfloat16 (or float32, where bfloat16 is slow) matrix product in GFLOP/s; takes half a second.
double measure_matrix_peak(const c10::Device& device = c10::kCPU);
// The best rate at which this much memory is read again and again in GB/s (10^9 bytes): caches make little of it
// faster. Takes half a second; at most 1 GiB is tried.
double measure_memory_bandwidth(int64_t bytes);
// Memory that can be had without taking it from other programs, in bytes; 0 where the system does not say.
int64_t available_memory();
// What this process holds in memory now, in bytes; 0 where the system does not say.
int64_t resident_memory();

}  // namespace ichigo
