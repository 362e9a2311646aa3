#include "weights/weight_file.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "base/error.h"
#include "weights/byte_reader.h"
#include "weights/ctranslate2.h"
#include "weights/gguf.h"
#include "weights/mapped_weights.h"
#include "weights/safetensors.h"
#include "weights/torch_pickle.h"

namespace ichigo {
namespace {

std::unique_ptr<WeightFile> open_folder(const std::filesystem::path& folder) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    if (std::filesystem::exists(folder / name)) return open_safetensors(folder);
  }
  if (std::filesystem::exists(folder / "model.bin")) return open_ctranslate2(folder);
  if (std::filesystem::exists(folder / "model.gguf")) return open_gguf(folder / "model.gguf");
  fail(folder.string(),
       " holds no weights: expected model.safetensors, model.safetensors.index.json, model.bin or model.gguf");
}

}  // namespace

MatrixRows rows_of(const at::Tensor& matrix) {
  require(matrix.dim() == 2, "a tensor of shape ", matrix.sizes(), " is no matrix");
  const at::ScalarType dtype = matrix.scalar_type();
  const bool plain = dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16;
  const at::Tensor kept = (plain ? matrix : matrix.to(at::kFloat)).contiguous();
  const int64_t columns = kept.size(1);
  return {kept.size(0), columns, [kept, columns](int64_t row, float* out) {
            const auto convert = [&](const auto* from) { std::copy_n(from + row * columns, columns, out); };
            if (kept.scalar_type() == at::kHalf) return convert(kept.const_data_ptr<at::Half>());
            if (kept.scalar_type() == at::kBFloat16) return convert(kept.const_data_ptr<at::BFloat16>());
            convert(kept.const_data_ptr<float>());
          }};
}

std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& path) {
  require(std::filesystem::exists(path), path.string(), " does not exist");
  if (std::filesystem::is_directory(path)) return open_folder(path);
  if (path.extension() == ".json") return open_safetensors(path);
  char start[9] = {};
  {
    const MappedFile file(path);
    std::memcpy(start, file.bytes().data(), std::min<size_t>(file.bytes().size(), sizeof(start)));
    require(!file.bytes().empty(), path.string(), " is empty");
  }
  const std::string_view head(start, sizeof(start));
  if (head.starts_with("GGUF")) return open_gguf(path);
  if (head.starts_with("PK\3\4")) return open_torch_pickle(path);
  if (head[8] == '{') return open_safetensors(path);
  if ((head[0] == 5 || head[0] == 6) && head.substr(1, 3) == std::string_view("\0\0\0", 3)) {
    return open_ctranslate2(path);
  }
  fail(path.string(), " is no weight file that is known here (safetensors, GGUF, PyTorch zip-pickle, CTranslate2)");
}

}  // namespace ichigo
