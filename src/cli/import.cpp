// Makes a text model ready to hear: its vocabulary grows by Ichigo's sound tokens, as stage 1 begins.
#include "cli/import.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "models/fused_model.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string base, out;
  int64_t codes = 512, shard_megabytes = 5000;
  uint64_t seed = 1;
};

void import_vocabulary(const Arguments& arguments) {
  const fs::path out = arguments.out;
  require(!out.empty(), "the folder to write has no name");
  // What an interrupted run left has no config.json.
  require(!fs::exists(out) || (fs::is_directory(out) && !fs::exists(out / "config.json")), out.string(),
          " exists already: name a new folder");
  ModelDirectory model = open_model_directory(resolve_base(arguments.base));
  require(!same_file(out, model.path.parent_path()), out.string(),
          " is where the model itself lies: name a new folder");
  require(model.tokenizer.id_of(sound_token(0)) < 0, model.path.string(), " has ",
          model.tokenizer.id_of(sound_token(0)) < 0 ? 0 : SoundVocabulary(model.tokenizer).codes(),
          " sound tokens already: it can be trained as it is");
  auto config = LlamaConfig::from_json(model.config);
  const int64_t known = model.tokenizer.vocabulary_size();
  auto weights = llama_tensors(config, *model.weights);
  SoundVocabulary::extend(model.tokenizer, arguments.codes);
  const SoundVocabulary sounds(model.tokenizer);
  // Rows that the base has to spare are not trained: they begin anew like the added ones.
  config.vocab_size = std::max(config.vocab_size, model.tokenizer.vocabulary_size());
  for (TensorToWrite& weight : weights) {
    if (!is_embedding(weight.name)) continue;
    weight.shape[0] = config.vocab_size;
    weight.load = [load = weight.load, known, rows = config.vocab_size, first = sounds.id(0), seed = arguments.seed] {
      return extend_embedding(load().narrow(0, 0, known), rows, first, {}, seed);
    };
  }
  write_language_model(out, files_of(model, config), std::move(weights), {}, arguments.shard_megabytes * 1000 * 1000);
  std::printf("%s: %lld sound tokens, ids %lld to %lld, %lld embedding rows\n", out.c_str(),
              static_cast<long long>(sounds.codes()), static_cast<long long>(sounds.id(0)),
              static_cast<long long>(sounds.id(sounds.codes() - 1)), static_cast<long long>(config.vocab_size));
}

}  // namespace

void add_import_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("import", "Bring another project's model into Ichigo's form");
  command->require_subcommand(1);
  auto* vocabulary = command->add_subcommand(
      "vocabulary", "Add Ichigo's sound tokens to a Llama or Qwen2 model: the start of stage 1");
  vocabulary->add_option("base", arguments->base, "Hugging Face folder or GGUF file of the text model")->required();
  vocabulary->add_option("out", arguments->out, "Folder to write, in bfloat16")->required();
  vocabulary->add_option("--codes", arguments->codes, "Codes of the sound tokenizer, without the mask code")
      ->check(CLI::Range(int64_t{1}, int64_t{9998}))
      ->capture_default_str();
  vocabulary->add_option("--seed", arguments->seed, "Of the new rows, drawn around the mean of the old ones")
      ->capture_default_str();
  vocabulary
      ->add_option("--shard-megabytes", arguments->shard_megabytes, "No weight file is larger, but where one tensor is")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  vocabulary->callback([arguments] { import_vocabulary(*arguments); });
}

}  // namespace ichigo
