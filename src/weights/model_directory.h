// A language model on disk, opened as one thing: a Hugging Face folder, a GGUF file, or a folder with a model.gguf.
#pragma once
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/byte_pair.h"
#include "weights/weight_file.h"

namespace ichigo {

struct ModelDirectory {
  std::filesystem::path path;
  nlohmann::json config;                // config.json, or what a GGUF file's metadata say in its form
  std::unique_ptr<WeightFile> weights;  // under Hugging Face's names
  BytePairTokenizer tokenizer;
  std::string chat_template;         // Jinja source, empty when there is none
  std::vector<int64_t> stop_tokens;  // end-of-text ids, and those that end a turn of the chat template
};

// Throws Error that says what is missing or wrong, and where.
ModelDirectory open_model_directory(const std::filesystem::path& path);
// The vocabulary alone: of such a model, or a tokenizer.json.
BytePairTokenizer open_vocabulary(const std::filesystem::path& path);

}  // namespace ichigo
