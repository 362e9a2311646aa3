// What a test trains in a second: a Llama of two layers with random weights, a few rows of sound and text, recipes.
#pragma once
#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "assistant/tiny_model.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "data/token_file.h"
#include "golden.h"
#include "models/fused_model.h"

namespace ichigo::test {

// Writes FOLDER/base and FOLDER/rows.jsonl. With `spare_rows` the base knows no sound tokens, and its embedding has so
// many rows more than there are tokens.
inline void write_tiny_decoder(const std::filesystem::path& folder, int64_t spare_rows = 0) {
  const auto file = golden("tokenizer/tokenizer.json");
  require(file.has_value(), "tests/golden/tokenizer is part of the repository");
  auto json = nlohmann::json::parse(read_file(*file));
  if (spare_rows > 0) {
    nlohmann::json kept = nlohmann::json::array();
    for (const auto& token : json["added_tokens"]) {
      if (!token["content"].get<std::string>().starts_with("<|sound_")) kept.push_back(token);
    }
    json["added_tokens"] = kept;
  }
  write_file(folder / "tokenizer.json", json.dump());
  auto tokenizer = BytePairTokenizer::from_file(folder / "tokenizer.json");
  LlamaConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.vocab_size = tokenizer.vocabulary_size() + spare_rows;
  Llama model(config);
  at::manual_seed(3);
  std::vector<TensorToWrite> weights;
  for (auto& [name, parameter] : model.hugging_face_parameters()) {
    const at::NoGradGuard no_grad;
    if (parameter.dim() == 1) {
      parameter.fill_(1);
    } else {
      parameter.normal_(0, 0.1);
    }
    weights.emplace_back(name, parameter.detach());
  }
  const auto jinja = read_file(*golden("tokenizer/chat_template.jinja"));
  write_language_model(folder / "base", {config.to_json(), tokenizer, jinja, {tokenizer.id_of("<|eot_id|>")}}, weights,
                       {}, 1 << 30);
  std::string lines;
  for (int i = 0; i < 12; ++i) {
    SpeechRow row;
    row.index = i;
    row.text = i % 2 == 0 ? "yes" : "no";
    row.answer = i % 2 == 0 ? "good" : "bad";
    row.sound.assign(4 + i % 3, i % 2);
    lines += token_file_line(row);
  }
  write_file(folder / "rows.jsonl", lines);
}

constexpr int64_t kTinyWidth = 64;  // of the tiny ear's features

// Writes FOLDER/rows.features: noise around one vector for each code.
inline void write_tiny_features(const std::filesystem::path& folder, int64_t width = kTinyWidth) {
  at::manual_seed(2);
  const at::Tensor means = at::randn({2, width});
  std::string bytes;
  for (const auto& row : read_token_file(folder / "rows.jsonl")) {
    for (const int code : row.sound) {
      const at::Tensor frame = (means[code] + 0.3 * at::randn({width})).to(at::kBFloat16);
      bytes.append(static_cast<const char*>(frame.const_data_ptr()), frame.nbytes());
    }
  }
  write_file(folder / "rows.features", bytes);
}

// Writes FOLDER/ear and those features; the recipe's line for an adapter.
inline std::string write_tiny_ear(const std::filesystem::path& folder) {
  write_tiny_model(folder / "ear", *golden("tokenizer/tokenizer.json"));
  write_tiny_features(folder);
  return concat("adapter: {tokenizer: ", (folder / "ear/sound_tokenizer.safetensors").string(),
                ", whisper: ", (folder / "ear/whisper.safetensors").string(), "}\n");
}

// FOLDER/OUTPUT.yaml: `steps` steps on those rows into FOLDER/OUTPUT, with `more` lines.
inline std::filesystem::path tiny_recipe(const std::filesystem::path& folder, const std::string& output,
                                         const std::string& more = "", int64_t steps = 8, int64_t batch_tokens = 64) {
  const auto path = folder / (output + ".yaml");
  write_file(path,
             concat("train: decoder\noutput: ", (folder / output).string(), "\nbase: ", (folder / "base").string(),
                    "\nsteps: ", steps, "\nstep_tokens: 120\nbatch_tokens: ", batch_tokens,
                    "\nlearning_rate: 0.01\nwarmup_steps: 2\ncheckpoint_steps: 2\nmixture:\n  - {rows: ",
                    (folder / "rows.jsonl").string(), ", task: answer}\n", more));
  return path;
}

// The lines of a run's metrics.jsonl; none before there is one.
inline std::vector<nlohmann::json> metrics_of(const std::filesystem::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace ichigo::test
