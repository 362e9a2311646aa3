#include "weights/model_directory.h"

#include <ATen/core/Tensor.h>

#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/json_text.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& path) {
  return parse_json_object(read_file(path), path.string());
}

json read_json_if_there(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? read_json(path) : json::object();
}

// A template is a string, or a list of named ones of which "default" counts.
std::string template_source(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    for (const json& entry : value) {
      if (entry.is_object() && entry.value("name", json()) == "default" && entry.contains("template")) {
        return template_source(entry["template"]);
      }
    }
  }
  return {};
}

std::vector<int64_t> stop_tokens(const json& ends, const std::string& chat_template, const BytePairTokenizer& tokenizer,
                                 const std::string& where) {
  std::set<int64_t> ids;
  for (const json& id : ends.is_array() ? ends : json::array({ends})) {
    if (id.is_null()) continue;
    require(id.is_number_integer() && id >= 0, where, ": eos_token_id holds ", json_line(id), ", which is no token id");
    ids.insert(id.get<int64_t>());
  }
  for (const char* token : {"<|im_end|>", "<|eot_id|>"}) {
    const int64_t id = tokenizer.id_of(token);
    if (id >= 0 && chat_template.find(token) != std::string::npos) ids.insert(id);
  }
  return {ids.begin(), ids.end()};
}

ModelDirectory open_gguf_model(const std::filesystem::path& path) {
  auto file = open_gguf(path);
  const json& metadata = file->metadata();  // `file` only changes hands below
  json config = gguf_llama_config(*file);
  auto tokenizer = BytePairTokenizer::from_gguf(metadata);
  std::string source = template_source(metadata.value("tokenizer.chat_template", json()));
  auto stops = stop_tokens(config.value("eos_token_id", json()), source, tokenizer, path.string());
  return {path,
          std::move(config),
          gguf_as_hugging_face(std::move(file)),
          std::move(tokenizer),
          std::move(source),
          std::move(stops)};
}

ModelDirectory open_folder(const std::filesystem::path& folder) {
  for (const char* name : {"config.json", "tokenizer.json"}) {
    require(std::filesystem::exists(folder / name), folder.string(), " is not a model folder: it has no ", name);
  }
  json config = read_json(folder / "config.json");
  const json tokenizer_config = read_json_if_there(folder / "tokenizer_config.json");
  std::string source = std::filesystem::exists(folder / "chat_template.jinja")
                           ? read_file(folder / "chat_template.jinja")
                           : template_source(tokenizer_config.value("chat_template", json()));
  const json generation = read_json_if_there(folder / "generation_config.json");
  auto tokenizer = BytePairTokenizer::from_file(folder / "tokenizer.json");
  json ends = generation.value("eos_token_id", json());
  if (ends.is_null()) ends = config.value("eos_token_id", json());
  auto stops = stop_tokens(ends, source, tokenizer, folder.string());
  return {folder,          std::move(config), open_safetensors(folder), std::move(tokenizer), std::move(source),
          std::move(stops)};
}

ModelDirectory open_any(const std::filesystem::path& path) {
  require(std::filesystem::exists(path), path.string(), " does not exist");
  if (!std::filesystem::is_directory(path)) return open_gguf_model(path);
  const bool only_gguf = !std::filesystem::exists(path / "config.json") && std::filesystem::exists(path / "model.gguf");
  return only_gguf ? open_gguf_model(path / "model.gguf") : open_folder(path);
}

}  // namespace

ModelDirectory open_model_directory(const std::filesystem::path& path) {
  ModelDirectory model = open_any(path);
  const json rows = model.config.value("vocab_size", json());  // where it is missing, LlamaConfig says so
  require(!rows.is_number_integer() || model.tokenizer.vocabulary_size() <= rows.get<int64_t>(), model.path.string(),
          ": the tokenizer has ", model.tokenizer.vocabulary_size(), " tokens, but the model only ", rows.dump(),
          " embedding rows: they do not belong together");
  return model;
}

BytePairTokenizer open_vocabulary(const std::filesystem::path& path) {
  require(std::filesystem::exists(path), path.string(), " does not exist");
  if (path.extension() == ".json") return BytePairTokenizer::from_file(path);
  if (!std::filesystem::is_directory(path)) return BytePairTokenizer::from_gguf(open_gguf(path)->metadata());
  if (std::filesystem::exists(path / "tokenizer.json")) return BytePairTokenizer::from_file(path / "tokenizer.json");
  require(std::filesystem::exists(path / "model.gguf"), path.string(), " holds neither tokenizer.json nor model.gguf");
  return open_vocabulary(path / "model.gguf");
}

}  // namespace ichigo
