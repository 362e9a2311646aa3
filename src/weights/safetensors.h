// Hugging Face safetensors: reading (single or sharded), writing, and our block-quantised tensors within it.
// A block-quantised tensor is stored as U8 [rows, bytes per row]; the file's __metadata__ has, under
// "ichigo.blocks", a JSON object name -> {"type": "Q5_1", "shape": [rows, columns]}.
#pragma once
#include <memory>

#include "weights/tensor_to_write.h"
#include "weights/weight_file.h"

namespace ichigo {

// FILE.safetensors, FILE.safetensors.index.json, or a folder that holds model.safetensors or its index.
std::unique_ptr<WeightFile> open_safetensors(const std::filesystem::path& path);

// Writes one file, atomically, tensors in the given order.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});
// Writes FOLDER/model.safetensors, or model-0000i-of-0000n.safetensors with an index when one file would pass
// `shard_bytes`. Such files of another model are removed first: the two must not mix.
void write_sharded_safetensors(const std::filesystem::path& folder, const std::vector<TensorToWrite>& tensors,
                               int64_t shard_bytes);

}  // namespace ichigo
