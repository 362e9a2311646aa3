#include "weights/mapped_weights.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ichigo {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

int64_t count_elements(const std::vector<int64_t>& shape, const std::string& where) {
  constexpr int64_t kLimit = int64_t{1} << 48;  // so that a size in bytes cannot overflow
  // A size of 0 does not excuse the others: their strides must not overflow either.
  int64_t extent = 1;
  for (const int64_t size : shape) {
    require(size >= 0 && size <= kLimit && extent <= kLimit / std::max<int64_t>(size, 1), where, ": the shape ",
            shape_text(shape), " is impossible");
    extent *= std::max<int64_t>(size, 1);
  }
  return std::ranges::find(shape, 0) == shape.end() ? extent : 0;
}

at::Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, const StoredTensor& stored,
                         const std::vector<int64_t>& shape) {
  const auto bytes = file->bytes().subspan(stored.offset, stored.bytes);
  if (stored.blocks) return dequantize_blocks(*stored.blocks, bytes, shape);
  const auto address = reinterpret_cast<uintptr_t>(bytes.data());
  if (bytes.empty() || address % c10::elementSize(stored.dtype) != 0) {
    at::Tensor copy = at::empty(shape, stored.dtype);
    std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(copy.data_ptr()));
    return copy;
  }
  return at::from_blob(
      const_cast<std::byte*>(bytes.data()), shape, [file](void*) {}, stored.dtype);
}

}  // namespace ichigo
