// A language model as one GGUF file, as llama.cpp's converter lays it out: weights, vocabulary and chat template.
#pragma once
#include <filesystem>
#include <string>

#include "weights/block_quantization.h"
#include "weights/model_directory.h"

namespace ichigo {

// How matrices are stored; vectors are always float32.
struct GgufStorage {
  at::ScalarType dtype = at::kBFloat16;
  std::optional<BlockType> matrices, embedding;  // embedding: of the head too; none: `dtype`

  // Of a name such as "q4_0"; in 4- and 5-bit files the embedding has 8 bits. Throws Error on another name.
  static GgufStorage parse(const std::string& name);
};

// Reads one tensor after another, so that memory stays small. Throws Error when GGUF cannot hold the model.
void write_llama_gguf(const std::filesystem::path& path, const ModelDirectory& model, const GgufStorage& storage);

}  // namespace ichigo
