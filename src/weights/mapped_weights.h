// What the weight readers share: a mapped file, its list of tensors, and tensors as views of the mapping.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/mapped_file.h"
#include "weights/block_quantization.h"
#include "weights/weight_file.h"

namespace ichigo {

// Where a tensor lies in its file.
struct StoredTensor {
  uint64_t offset = 0, bytes = 0;  // from the beginning of the file
  at::ScalarType dtype = at::kFloat;
  std::optional<BlockType> blocks;
};

// No weight has more dimensions; checked before a shape is copied, since one of a few bytes may be shared by many, and
// before a tensor has it, which takes minutes for 32,000 dimensions.
constexpr size_t kMaxRank = 8;
// "[2, 3]"
std::string shape_text(const std::vector<int64_t>& shape);
// The product of the sizes. Throws Error beginning with `where` when a size is negative or the product absurd.
int64_t count_elements(const std::vector<int64_t>& shape, const std::string& where);
// A view of the mapping, which it keeps alive; a copy where the data is not aligned for its type.
// Offset, shape and type must have been checked. Must not be written to.
at::Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, const StoredTensor& stored,
                         const std::vector<int64_t>& shape);

// WeightFile, or an interface derived from it, over one mapped file.
template <typename Interface>
class MappedWeights : public Interface {
 public:
  explicit MappedWeights(const std::filesystem::path& path) : file_(std::make_shared<MappedFile>(path)) {}
  const std::filesystem::path& path() const override { return file_->path(); }
  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor load(const std::string& name) const override {
    const auto& [info, stored] = find(name);
    return mapped_tensor(file_, stored, info.shape);
  }
  at::Tensor load_as(const std::string& name, at::ScalarType dtype) const override {
    const auto& [info, stored] = find(name);
    if (!stored.blocks) return load(name).to(dtype);
    return dequantize_blocks(*stored.blocks, file_->bytes().subspan(stored.offset, stored.bytes), info.shape, dtype);
  }
  MatrixRows matrix_rows(const std::string& name) const override {
    const auto& [info, stored] = find(name);
    if (!stored.blocks) return rows_of(load(name));
    require(info.shape.size() == 2, path().string(), ": the tensor \"", name, "\" is no matrix but ",
            shape_text(info.shape));
    const BlockType type = *stored.blocks;
    const int64_t columns = info.shape[1], row_bytes = blocks_bytes(type, columns);
    const std::byte* begin = file_->bytes().data() + stored.offset;
    const auto at = [begin, row_bytes](int64_t row) { return begin + row * row_bytes; };
    const auto read = [at, type, columns](int64_t row, float* out) { dequantize_blocks(type, at(row), columns, out); };
    return {info.shape[0], columns, read, type, at};
  }
  void release(const std::string& name) const override {
    const StoredTensor& stored = find(name).second;
    file_->release(file_->bytes().subspan(stored.offset, stored.bytes));
  }

 protected:
  std::pair<const TensorInfo&, const StoredTensor&> find(const std::string& name) const {
    const auto found = stored_.find(name);
    require(found != stored_.end(), path().string(), " has no tensor \"", name, "\"");
    return {tensors_.at(name), found->second};
  }
  // False when the name is there already.
  bool add(const std::string& name, TensorInfo info, const StoredTensor& stored) {
    return tensors_.emplace(name, std::move(info)).second && stored_.emplace(name, stored).second;
  }

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, StoredTensor> stored_;
};

}  // namespace ichigo
