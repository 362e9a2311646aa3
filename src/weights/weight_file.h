// One face for every weight format: named tensors in a memory-mapped, fully checked file.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weights/block_quantization.h"

namespace ichigo {

struct TensorInfo {
  std::string type;            // "F32", "BF16", "Q8_0"... as the format spells it
  std::vector<int64_t> shape;  // row-major, outermost first (GGUF's order is turned round)
};

// A stored matrix row by row, so that no copy of it as a whole is needed. Valid while its file is open.
struct MatrixRows {
  int64_t rows = 0, columns = 0;
  std::function<void(int64_t row, float* out)> read;     // in float32
  std::optional<BlockType> blocks;                       // how the file stores them, if so
  std::function<const std::byte*(int64_t row)> stored;   // a row's blocks; only with `blocks`
};
// Those of a tensor [rows, columns], which it keeps alive.
MatrixRows rows_of(const at::Tensor& matrix);

class WeightFile {
 public:
  virtual ~WeightFile() = default;
  virtual const std::filesystem::path& path() const = 0;
  virtual const std::map<std::string, TensorInfo>& tensors() const = 0;
  // The tensor in its stored type; a view of the mapping where the format allows (it keeps the mapping alive), block
  // quantised types as float32. Throws Error when the name is missing.
  // Views must not be written to.
  virtual at::Tensor load(const std::string& name) const = 0;
  // The same converted to `dtype`; block-quantised tensors of GGUF and safetensors go there without a float32 copy.
  virtual at::Tensor load_as(const std::string& name, at::ScalarType dtype) const { return load(name).to(dtype); }

  // The tensor as rows. Throws Error when it is missing or has not two dimensions.
  virtual MatrixRows matrix_rows(const std::string& name) const { return rows_of(load(name)); }

  // Gives the memory of a tensor that was copied back to the system. Views of it stay valid, and are read again.
  virtual void release(const std::string&) const {}

  // Texts by name, where the format has such a place (safetensors' __metadata__); empty otherwise.
  virtual const std::map<std::string, std::string>& metadata_texts() const {
    static const std::map<std::string, std::string> none;
    return none;
  }

  bool contains(const std::string& name) const { return tensors().contains(name); }
};

// Opens a weight file by its content: safetensors (FILE, or a folder with model.safetensors or an index), GGUF,
// zip-pickle (.pt .pth .ckpt .model), or a CTranslate2 folder / model.bin. Throws Error naming file and place.
std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& path);

}  // namespace ichigo
