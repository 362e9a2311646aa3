// Brings a model into another form: that in which it ships (block-quantised weights in small files, its ear beside
// them), or one GGUF file for llama.cpp and its kin.
#include "cli/convert.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "models/fused_model.h"
#include "models/llama_gguf.h"
#include "weights/base_weights.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string in, out, to = "safetensors", type = "q8_0", embedding, ear, tokenizer, whisper;
  bool in_blocks = false;
  int64_t shard_megabytes = 44;
};

// "bf16": none.
std::optional<BlockType> block_storage(const std::string& name) {
  return name == "bf16" ? std::nullopt : parse_block_type(name);
}

void write_decoder(const fs::path& out, const ModelDirectory& directory, const StorageTypes& types,
                   int64_t shard_bytes) {
  const auto config = LlamaConfig::from_json(directory.config);
  write_language_model(out, files_of(directory, config), llama_tensors(config, *directory.weights), types, shard_bytes);
}

// The model to convert: never into its own file or folder, where the new one would be taken for it.
ModelDirectory open_for(const fs::path& out, const std::string& in) {
  ModelDirectory model = open_model_directory(resolve_base(in));
  const fs::path folder = fs::is_directory(model.path) ? model.path : model.path.parent_path();
  require(!same_file(out, model.path) && !same_file(out, folder), out.string(),
          " is where the model itself lies: name another place to write to");
  return model;
}

void convert_to_gguf(const Arguments& arguments) {
  require(
      arguments.tokenizer.empty() && arguments.whisper.empty() && !arguments.in_blocks && arguments.ear.empty(),
      "a GGUF file holds no ear: leave out --tokenizer, --whisper, --in-blocks and --ear, or write --to safetensors");
  const fs::path out = arguments.out;
  require(!fs::is_directory(out), out.string(), " is a folder: name the GGUF file to write");
  auto storage = GgufStorage::parse(arguments.type);
  if (!arguments.embedding.empty()) {
    const auto embedding = GgufStorage::parse(arguments.embedding);
    require(embedding.matrices || embedding.dtype == storage.dtype, "--embedding ", arguments.embedding,
            " does not go with --type ", arguments.type);
    storage.embedding = embedding.matrices;
  }
  const ModelDirectory model = open_for(out, arguments.in);
  write_llama_gguf(out, model, storage);
  std::printf("%s: %.1f MB\n", out.c_str(), static_cast<double>(fs::file_size(out)) / 1e6);
}

void convert(const Arguments& arguments) {
  require(!arguments.out.empty(), "the place to write to has no name");
  if (arguments.to == "gguf") return convert_to_gguf(arguments);
  const fs::path out = arguments.out;
  for (const auto* type : {&arguments.type, &arguments.embedding, &arguments.ear}) {
    require(*type != "f16", "f16 belongs to --to gguf: use bf16");
  }
  require(arguments.ear.empty() || !arguments.tokenizer.empty(), "--ear needs the ear: --tokenizer and --whisper");
  require(arguments.tokenizer.empty() == arguments.whisper.empty(),
          "--tokenizer and --whisper belong together: both make the model's ear");
  require(!arguments.in_blocks || !arguments.tokenizer.empty(), "--in-blocks needs the ear: --tokenizer and --whisper");
  require(!fs::exists(out) || fs::is_directory(out), out.string(), " exists and is no folder");
  require(out.extension() != ".gguf", out.string(), " is named like a GGUF file: add --to gguf, or name a folder");
  const ModelDirectory directory = open_for(out, arguments.in);
  require(find_ear(directory.path).adapter.empty(), directory.path.string(),
          " hears through an adapter, which this command cannot write yet: use the model as it was trained");
  const auto with_default = [&](const std::string& name) {
    return block_storage(!name.empty() ? name : arguments.type == "bf16" ? "bf16" : "q8_0");
  };
  const StorageTypes types{block_storage(arguments.type), with_default(arguments.embedding),
                           with_default(arguments.ear)};
  if (!arguments.tokenizer.empty()) {
    const auto bottleneck = load_bottleneck(arguments.tokenizer);
    const auto whisper = load_whisper(resolve_base(arguments.whisper), at::kFloat, /*with_decoder=*/false);
    // Each fails when they do not belong together.
    if (arguments.in_blocks) whisper.encoder->hear_in_blocks(kLiveBlocks);
    const SoundTokenizer ear(whisper.encoder, bottleneck);
    require(SoundVocabulary(directory.tokenizer).codes() >= bottleneck->config().codes, directory.path.string(),
            ": the sound tokenizer has ", bottleneck->config().codes,
            " codes, but the vocabulary has fewer sound tokens");
    fs::remove(out / "config.json");  // no whole model from here on until all of it is written
    write_ear(out, ear, at::kBFloat16, types.ear);
  }
  if (arguments.tokenizer.empty()) {
    fs::remove(out / "ichigo.json");  // another model's ear
    if (!find_ear(directory.path).empty()) {
      std::fprintf(stderr, "ichigo: %s is written without the ear of %s: name it with --tokenizer and --whisper\n",
                   out.c_str(), directory.path.c_str());
    }
  }
  write_decoder(out, directory, types, arguments.shard_megabytes * 1000 * 1000);
  uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(out)) bytes += file.is_regular_file() ? file.file_size() : 0;
  std::printf("%s: %.1f MB\n", out.c_str(), static_cast<double>(bytes) / 1e6);
}

}  // namespace

void add_convert_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  const std::vector<std::string> types = {"bf16", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"};
  auto* command = app.add_subcommand("convert", "Write a model in another form: block-quantised, or as GGUF");
  command->add_option("in", arguments->in, "Hugging Face folder or GGUF file of a language model")->required();
  command->add_option("out", arguments->out, "Folder, or GGUF file, to write")->required();
  command->add_option("--to", arguments->to, "Hugging Face's layout, or one file for llama.cpp and its kin")
      ->check(CLI::IsMember({"safetensors", "gguf"}))
      ->capture_default_str();
  command->add_option("--type", arguments->type, "How the matrices are stored (f16: only as GGUF)")
      ->check(CLI::IsMember(types))
      ->capture_default_str();
  command
      ->add_option("--embedding", arguments->embedding, "The same for the embedding (default: q8_0, with bf16: bf16)")
      ->check(CLI::IsMember(types));
  command->add_option("--ear", arguments->ear, "The same for Whisper's encoder (default: q8_0, with bf16: bf16)")
      ->check(CLI::IsMember(types));
  command->add_option("--tokenizer", arguments->tokenizer, "Trained sound tokenizer: its folder or file");
  command->add_option("--whisper", arguments->whisper, "Whisper's weights, whose encoder goes with it");
  command->add_flag(
      "--in-blocks", arguments->in_blocks,
      "Its encoder hears block by block, 0.32 s at a time and 0.64 s ahead: codes settle while somebody speaks");
  command
      ->add_option("--shard-megabytes", arguments->shard_megabytes, "No weight file is larger, but where one tensor is")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  command->callback([arguments] { convert(*arguments); });
}

}  // namespace ichigo
