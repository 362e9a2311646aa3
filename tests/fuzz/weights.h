// The weight readers' fuzzers: open the file, then look at every tensor.
#pragma once
#include <ATen/ATen.h>

#include "fuzz.h"
#include "weights/mapped_weights.h"

namespace ichigo::fuzz {

inline void read_all(const WeightFile& file) {
  for (const auto& [name, info] : file.tensors()) {
    const at::Tensor tensor = file.load(name);
    must(tensor.sizes() == at::IntArrayRef(info.shape));
    if (tensor.numel() > 0) tensor.view(-1)[tensor.numel() - 1].item<double>();
  }
}

}  // namespace ichigo::fuzz
