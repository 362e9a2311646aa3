#include "cli/inspect.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "data/token_file.h"
#include "text/json_text.h"
#include "text/sound_vocabulary.h"
#include "weights/gguf.h"
#include "weights/mapped_weights.h"
#include "weights/model_directory.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kLanguageModel = "language model (Llama or Qwen2)";

// By the tensors that each kind cannot be without, under the names of the published files.
std::string kind_of(const WeightFile& file) {
  const auto any = [&](std::string_view part) {
    return std::ranges::any_of(file.tensors(),
                               [&](const auto& item) { return item.first.find(part) != std::string::npos; });
  };
  if (any("_codebook.embed")) return "sound tokenizer (WhisperVQ)";
  if (any("blk.0.attn_q.weight") || any("layers.0.self_attn.q_proj.weight")) {
    return any("encoder") ? "Whisper" : kLanguageModel;
  }
  if (any("encoder")) return "Whisper";
  return "unknown";
}

uint64_t bytes_on_disk(const WeightFile& file) {
  const fs::path& path = file.path();
  if (path.extension() != ".json") return fs::file_size(path);
  std::set<std::string> shards;
  const auto index = parse_json_object(read_file(path), path.string());
  for (const auto& shard : index["weight_map"]) shards.insert(shard);
  uint64_t bytes = 0;
  for (const auto& shard : shards) bytes += fs::file_size(path.parent_path() / shard);
  return bytes;
}

// The vocabulary beside the weights or within them; none is no error.
std::optional<BytePairTokenizer> vocabulary_of(const WeightFile& file) {
  if (const auto* gguf = dynamic_cast<const GgufFile*>(&file)) {
    if (gguf->metadata().contains("tokenizer.ggml.tokens")) return BytePairTokenizer::from_gguf(gguf->metadata());
    return std::nullopt;
  }
  const auto path = file.path().parent_path() / "tokenizer.json";
  if (!fs::exists(path)) return std::nullopt;
  return BytePairTokenizer::from_file(path);
}

ordered_json describe(const WeightFile& file) {
  ordered_json result;
  result["path"] = file.path().string();
  result["bytes"] = bytes_on_disk(file);
  result["kind"] = kind_of(file);
  if (const auto* gguf = dynamic_cast<const GgufFile*>(&file)) {
    for (const char* key : {"general.architecture", "general.name"}) {
      if (gguf->metadata().contains(key)) result[key] = gguf->metadata()[key];
    }
  }
  int64_t parameters = 0;
  std::map<std::string, int64_t> types;
  for (const auto& [name, info] : file.tensors()) {
    parameters += count_elements(info.shape, name);
    ++types[info.type];
  }
  result["parameters"] = parameters;
  result["tensors"] = file.tensors().size();
  result["types"] = types;
  if (result["kind"] != kLanguageModel) return result;
  try {
    if (const auto vocabulary = vocabulary_of(file)) {
      result["vocabulary"] = vocabulary->vocabulary_size();
      if (vocabulary->id_of(sound_token(0)) >= 0) result["sound_tokens"] = SoundVocabulary(*vocabulary).codes();
    }
  } catch (const Error& error) {
    result["vocabulary"] = concat("not supported: ", error.what());
  }
  return result;
}

ordered_json describe_rows(const fs::path& path) {
  int64_t spoken = 0, codes = 0, turns = 0, dialogues = 0;
  double seconds = 0;
  std::map<std::string, int64_t> kinds;
  std::set<std::string> voices;
  const auto rows = read_token_file(path);
  for (const auto& row : rows) {
    ++kinds[row.kind];
    turns += 1 + std::ssize(row.earlier);
    dialogues += row.earlier.empty() ? 0 : 1;
    seconds += row.seconds;
    codes += std::ssize(row.sound);
    for (const auto& turn : row.earlier) codes += std::ssize(turn.sound);
    if (row.sound.empty()) continue;
    ++spoken;
    voices.insert(row.voice.starts_with("recording:") ? "recording" : row.voice);
  }
  return {{"path", path.string()}, {"kind", "training rows"}, {"rows", rows.size()},  {"kinds", kinds},
          {"spoken", spoken},      {"hours", std::round(seconds / 36) / 100},          {"turns", turns},       {"dialogues", dialogues},
          {"sound_codes", codes},  {"voices", voices.size()}};
}

void print(const ordered_json& description) {
  for (const auto& [key, value] : description.items()) {
    std::string text;
    if (value.is_object()) {
      for (const auto& [type, count] : value.items()) text += (text.empty() ? "" : ", ") + count.dump() + " " + type;
    } else {
      text = value.is_string() ? value.get<std::string>() : json_line(value);
    }
    std::printf("%-22s %s\n", key.c_str(), text.c_str());
  }
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  struct Arguments {
    std::string path;
    bool tensors = false, as_json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("inspect", "Say what a weight file, a model folder or a file of training rows holds");
  command
      ->add_option("path", arguments->path,
                   "safetensors, GGUF, PyTorch or CTranslate2 file, a model's folder, or training rows (.jsonl)")
      ->required();
  command->add_flag("--tensors", arguments->tensors, "List every tensor with its type and shape");
  command->add_flag("--json", arguments->as_json, "Print one JSON object");
  command->callback([arguments] {
    if (fs::path(arguments->path).extension() == ".jsonl") {
      const ordered_json description = describe_rows(arguments->path);
      if (!arguments->as_json) return print(description);
      std::printf("%s\n", json_line(description).c_str());
      return;
    }
    const auto file = open_weights(arguments->path);
    ordered_json description = describe(*file);
    if (arguments->as_json) {
      if (arguments->tensors) {
        ordered_json list = ordered_json::object();
        for (const auto& [name, info] : file->tensors()) list[name] = {{"type", info.type}, {"shape", info.shape}};
        description["tensors"] = list;
      }
      std::printf("%s\n", json_line(description).c_str());
      return;
    }
    print(description);
    if (!arguments->tensors) return;
    for (const auto& [name, info] : file->tensors()) {
      std::printf("%-6s %-20s %s\n", info.type.c_str(), shape_text(info.shape).c_str(), name.c_str());
    }
  });
}

}  // namespace ichigo
