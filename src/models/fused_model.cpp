#include "models/fused_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/json_text.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

constexpr const char* kParts = "ichigo.json";
constexpr const char *kTokenizer = "sound_tokenizer", *kWhisper = "whisper", *kAdapter = "adapter";  // its keys
constexpr const char* kConfig = "config.json";

}  // namespace

LanguageModelFiles files_of(const ModelDirectory& model, const LlamaConfig& config) {
  nlohmann::json json = config.to_json();
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (model.config.contains(key)) json[key] = model.config[key];
  }
  return {std::move(json), model.tokenizer, model.chat_template, model.stop_tokens};
}

void write_language_model(const std::filesystem::path& folder, const LanguageModelFiles& files,
                          std::vector<TensorToWrite> weights, const StorageTypes& types, int64_t shard_bytes) {
  for (TensorToWrite& weight : weights) {
    weight.dtype = at::kBFloat16;
    if (weight.shape.size() == 2) weight.blocks = is_embedding(weight.name) ? types.embedding : types.matrices;
  }
  // First and last: a folder with a config.json is a whole model, also while another one is written over it.
  std::filesystem::remove(folder / kConfig);
  write_sharded_safetensors(folder, weights, shard_bytes);
  files.tokenizer.save(folder / "tokenizer.json");
  nlohmann::json tokenizer_config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                     {"chat_template", files.chat_template},
                                     {"clean_up_tokenization_spaces", false}};
  for (const char* token : {"bos_token", "eos_token"}) {
    nlohmann::json id = files.config.value(std::string(token) + "_id", nlohmann::json());
    if (id.is_array() && !id.empty()) id = id.front();
    if (id.is_number_integer())
      tokenizer_config[token] = files.tokenizer.token_bytes(id.get<int64_t>(), /*skip_special=*/false);
  }
  write_file(folder / "tokenizer_config.json", tokenizer_config.dump(2) + "\n");
  write_file(folder / "generation_config.json", nlohmann::json{{"eos_token_id", files.stop_tokens}}.dump(2) + "\n");
  write_file(folder / kConfig, files.config.dump(2) + "\n");
}

at::Tensor extend_embedding(const at::Tensor& old_rows, int64_t vocab_size, int64_t first_code,
                            const at::Tensor& codebook, uint64_t seed) {
  const at::Tensor old_float = old_rows.to(at::kFloat);
  const int64_t added = vocab_size - old_float.size(0);
  require(added >= 0, "a vocabulary of ", old_float.size(0), " cannot be extended to ", vocab_size);
  require(added == 0 || first_code >= old_float.size(0), "the sound tokens begin at ", first_code,
          ", among the old rows, 0 to ", old_float.size(0) - 1);
  if (added == 0) return old_float.clone();
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const int64_t width = old_float.size(1);
  const at::Tensor mean = old_float.mean(0);
  const at::Tensor spread = old_float.std(0);
  at::Tensor directions = at::randn({added, width}, generator, at::kFloat);
  if (codebook.defined()) {
    const int64_t codes = std::min(codebook.size(0), vocab_size - first_code);
    const at::Tensor projection = at::randn({codebook.size(1), width}, generator, at::kFloat);
    // Unit code vectors keep unit spread under a standard normal projection.
    directions.slice(0, first_code - old_float.size(0), first_code - old_float.size(0) + codes)
        .copy_(at::mm(codebook.slice(0, 0, codes).to(at::kFloat), projection));
  }
  return at::cat({old_float, mean + spread * directions}, 0);
}

EarFiles find_ear(const std::filesystem::path& model) {
  const auto folder = std::filesystem::is_directory(model) ? model : model.parent_path();
  const auto description = folder / kParts;
  if (!std::filesystem::exists(description)) return {};
  const auto parts = parse_json_object(read_file(description), description.string());
  const auto part = [&](const char* key) {
    require(parts.contains(key) && parts[key].is_string(), description.string(),
            " must name \"sound_tokenizer\" and \"whisper\", and what it names must be text");
    return folder / parts[key].get<std::string>();
  };
  return {part(kTokenizer), part(kWhisper), parts.contains(kAdapter) ? part(kAdapter) : std::filesystem::path()};
}

void write_ear(const std::filesystem::path& folder, const SoundTokenizer& ear, at::ScalarType dtype,
               std::optional<BlockType> matrices, const SpeechAdapter* adapter) {
  const at::NoGradGuard no_grad;
  nlohmann::ordered_json parts;
  const auto file = [&](const char* part) {
    parts[part] = concat(part, ".safetensors");
    return folder / concat(part, ".safetensors");
  };
  SoundTokenizerConfig config = ear.config();
  config.depth = 0;
  Bottleneck heard(config);
  const auto copy = [](const auto& from, const auto& to) {
    for (auto& item : to) item.value().copy_(*from.find(item.key()));
  };
  copy(ear.bottleneck().named_parameters(), heard.named_parameters());
  copy(ear.bottleneck().named_buffers(), heard.named_buffers());
  save_bottleneck(file(kTokenizer), heard);
  save_encoder(file(kWhisper), ear.encoder(), dtype, matrices);
  if (adapter != nullptr) adapter->save(file(kAdapter));
  write_file(folder / kParts, parts.dump() + "\n");
}

SoundTokenizer load_ear(const EarFiles& ear) {
  require(!ear.sound_tokenizer.empty() && !ear.whisper.empty(),
          "an ear has two parts, a sound tokenizer and a Whisper; name both");
  SoundTokenizer tokenizer = SoundTokenizer::load(ear.sound_tokenizer, ear.whisper, at::kFloat);
  pack_for_inference(tokenizer.encoder(), tokenizer.streaming() ? natural_type({}) : MatrixType::kFloat32);
  return tokenizer;
}

FusedModel load_fused_model(const std::filesystem::path& path, const PackedTypes& types, const EarFiles& ear) {
  ModelDirectory directory = open_model_directory(path);
  FusedModel model;
  model.config = LlamaConfig::from_json(directory.config);
  model.decoder = std::make_unique<PackedLlama>(model.config, *directory.weights, types);
  model.tokenizer = std::make_unique<BytePairTokenizer>(std::move(directory.tokenizer));
  model.chat_template = directory.chat_template;
  model.stop_tokens = directory.stop_tokens;
  if (ear.empty()) return model;
  model.sound_tokenizer = load_ear(ear);
  const SoundVocabulary sounds(*model.tokenizer);
  require(sounds.codes() >= model.sound_tokenizer->config().codes, path.string(), ": the sound tokenizer has ",
          model.sound_tokenizer->config().codes, " codes, but the vocabulary only ", sounds.codes(), " sound tokens");
  if (ear.adapter.empty()) return model;
  require(!model.sound_tokenizer->streaming(), ear.adapter.string(),
          ": an adapter needs a Whisper encoder that hears whole clips, this one hears in blocks");
  model.adapter = SpeechAdapter::load(ear.adapter, model.sound_tokenizer->config().width, model.config.hidden_size);
  return model;
}

HeardSpeech FusedModel::hear(std::span<const float> samples, double* mel_milliseconds) const {
  if (!adapter) return {sound_tokenizer->encode(samples, mel_milliseconds), {}};
  const at::NoGradGuard no_grad;
  at::Tensor features;
  HeardSpeech heard{sound_tokenizer->encode(samples, mel_milliseconds, &features), {}};
  for (size_t i = 0; i < heard.sound.size(); ++i) heard.sound[i] = static_cast<int>(vector_id(static_cast<int64_t>(i)));
  heard.vectors = adapter->forward(features);
  return heard;
}

}  // namespace ichigo
