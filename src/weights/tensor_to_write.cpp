#include "weights/tensor_to_write.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "weights/mapped_weights.h"

namespace ichigo {

TensorToWrite::TensorToWrite(std::string name, const at::Tensor& tensor, std::optional<BlockType> blocks)
    : TensorToWrite(std::move(name), tensor.sizes().vec(), tensor.scalar_type(), blocks, [tensor] { return tensor; }) {}

TensorToWrite::TensorToWrite(std::string name, std::vector<int64_t> shape, at::ScalarType dtype,
                             std::optional<BlockType> blocks, std::function<at::Tensor()> load)
    : name(std::move(name)), shape(std::move(shape)), dtype(dtype), blocks(blocks), load(std::move(load)) {}

int64_t TensorToWrite::bytes() const {
  const int64_t elements = count_elements(shape, name);
  if (!blocks) return elements * static_cast<int64_t>(c10::elementSize(dtype));
  require(shape.size() == 2 && shape[1] % block_weights(*blocks) == 0, "tensor \"", name, "\" of shape ",
          shape_text(shape), " cannot be stored as ", block_name(*blocks));
  return blocks_bytes(*blocks, elements);
}

at::Tensor TensorToWrite::data() const {
  const at::Tensor loaded = load();
  require(loaded.sizes() == at::IntArrayRef(shape), "tensor \"", name, "\" has the shape ",
          shape_text(loaded.sizes().vec()), " instead of ", shape_text(shape));
  if (blocks) return quantize_blocks(loaded.to(at::kCPU, at::kFloat).contiguous(), *blocks);
  return loaded.to(at::kCPU, dtype).contiguous();
}

}  // namespace ichigo
