// The weight readers' fuzzers: open the file, then look at every tensor that lies in it as it is.
#pragma once
#include <ATen/ATen.h>

#include "fuzz.h"
#include "weights/mapped_weights.h"

namespace ichigo::fuzz {

// Block-quantised tensors are larger once they are read; their bytes were checked when the file was opened.
inline void read_all(const WeightFile& file) {
  for (const auto& [name, info] : file.tensors()) {
    if (parse_block_type(info.type)) continue;
    const at::Tensor tensor = file.load(name);
    require(tensor.sizes() == at::IntArrayRef(info.shape), "another shape than listed");
    if (tensor.numel() > 0) tensor.view(-1)[tensor.numel() - 1].item<double>();
  }
}

}  // namespace ichigo::fuzz
