// Sample rate conversion (soxr, high quality).
#pragma once
#include <span>
#include <vector>

namespace ichigo {

// Rates in Hz. Returns about samples.size() * to / from samples.
std::vector<float> resample(std::span<const float> samples, double from, double to);

}  // namespace ichigo
