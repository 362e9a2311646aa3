// A tensor on its way into a weight file: what it will be stored as, and where its values come from when its turn
// comes, so that a model larger than memory can be written.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weights/block_quantization.h"

namespace ichigo {

struct TensorToWrite {
  std::string name;
  std::vector<int64_t> shape;        // outermost first
  at::ScalarType dtype;              // as stored; with `blocks` it does not count
  std::optional<BlockType> blocks;   // the last of two sizes must be whole blocks
  std::function<at::Tensor()> load;  // called once; any type that converts to `dtype`

  // A tensor at hand, stored in its own type or in blocks.
  TensorToWrite(std::string name, const at::Tensor& tensor, std::optional<BlockType> blocks = {});
  TensorToWrite(std::string name, std::vector<int64_t> shape, at::ScalarType dtype, std::optional<BlockType> blocks,
                std::function<at::Tensor()> load);

  // Of what is stored. Throws Error when the shape cannot be stored in these blocks.
  int64_t bytes() const;
  // What is stored, contiguous in the processor's memory. Throws Error when load() gives another shape.
  at::Tensor data() const;
};

}  // namespace ichigo
