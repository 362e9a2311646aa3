// WhisperVQ files: WhisperSpeech's zip-pickles in every published spelling, and our own safetensors.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "audio/log_mel.h"
#include "base/error.h"
#include "models/sound_tokenizer.h"
#include "models/whisper_layers.h"
#include "text/json_text.h"
#include "weights/torch_pickle.h"

namespace ichigo {

namespace {

using nlohmann::json;

constexpr char kMetadataKey[] = "ichigo.sound_tokenizer";
constexpr char kCodebook[] = "rq.layers.0._codebook.embed";

// Each reads object[key] into `target`, which keeps its value when the key is absent or null.
void read(const json& object, const char* key, int64_t& target) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return;
  require(it->is_number_integer(), "sound tokenizer configuration: ", key, " must be an integer, not ", it->dump());
  target = it->get<int64_t>();
}

void read(const json& object, const char* key, double& target) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return;
  require(it->is_number(), "sound tokenizer configuration: ", key, " must be a number, not ", it->dump());
  target = it->get<double>();
}

void read(const json& object, const char* key, bool& target) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return;
  require(it->is_boolean(), "sound tokenizer configuration: ", key, " must be true or false, not ", it->dump());
  target = it->get<bool>();
}

void read(const json& object, const char* key, std::string& target) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return;
  require(it->is_string(), "sound tokenizer configuration: ", key, " must be text, not ", it->dump());
  target = it->get<std::string>();
}

// Calls visit(key, field) for every field.
template <typename Config, typename Visit>
void visit_fields(Config& config, Visit visit) {
  visit("codes", config.codes);
  visit("mask_code", config.mask_code);
  visit("codebook_rows", config.codebook_rows);
  visit("codebook_dim", config.codebook_dim);
  visit("width", config.width);
  visit("n_head", config.n_head);
  visit("head_width", config.head_width);
  visit("ffn_mult", config.ffn_mult);
  visit("depth", config.depth);
  visit("downsample", config.downsample);
  visit("downsample_mean", config.downsample_mean);
  visit("downsample_conv", config.downsample_conv);
  visit("mask_embs", config.mask_embs);
  visit("rope", config.rope);
  visit("query_mult", config.query_mult);
  visit("output_mult", config.output_mult);
  visit("whisper_model_name", config.whisper_model_name);
  visit("cut_to_length", config.cut_to_length);
  visit("tail_frames", config.tail_frames);
}

// "config" and "tunables" of a WhisperSpeech file; an absent tunable has the value of the time before it existed.
SoundTokenizerConfig published_config(const json& object) {
  const json config = object.value("config", json::object());
  const json tunables = object.contains("tunables") ? object["tunables"] : json::object();
  require(config.is_object() && (tunables.is_object() || tunables.is_null()),
          "config and tunables must be dictionaries");
  SoundTokenizerConfig result;
  bool cosine = false;
  int64_t quantizers = 12;
  result.codebook_dim = 2, result.n_head = 2, result.downsample = 1;
  read(config, "codebook_dim", result.codebook_dim);
  read(config, "vq_codes", result.codes);
  read(config, "q_depth", quantizers);
  read(config, "n_head", result.n_head);
  read(config, "head_width", result.head_width);
  read(config, "ffn_mult", result.ffn_mult);
  read(config, "depth", result.depth);
  read(config, "use_cosine_sim", cosine);
  read(config, "downsample", result.downsample);
  read(config, "whisper_model_name", result.whisper_model_name);
  require(cosine, "only cosine-similarity codebooks are supported (use_cosine_sim)");
  require(quantizers == 1, "only one quantiser is supported, the file has q_depth ", quantizers);
  result.query_mult = 1;
  result.downsample_mean = result.downsample_conv = result.mask_embs = result.rope = false;
  read(tunables, "query_mult", result.query_mult);
  read(tunables, "downsample_mean", result.downsample_mean);
  read(tunables, "downsample_conv", result.downsample_conv);
  read(tunables, "mask_embs", result.mask_embs);
  read(tunables, "rope", result.rope);
  require(result.n_head > 0 && result.n_head <= 1024 && result.head_width > 0 && result.head_width <= 1024, "n_head ",
          result.n_head, " and head_width ", result.head_width, " must lie in 1 to 1024");
  result.width = result.n_head * result.head_width;
  result.mask_code = result.codes;
  result.codebook_rows = result.codes + (result.mask_embs ? 1 : 0);
  return result;
}

// A bottleneck's file under the names that WhisperSpeech's "fixed" files have.
class BottleneckFile {
 public:
  explicit BottleneckFile(const std::filesystem::path& path) : file_(open_weights(found(path))) {
    for (const auto& [stored, info] : file_->tensors()) {
      std::string name = stored;
      require(name.size() <= 1024, path.string(), ": a tensor's name has ", name.size(), " bytes, more than 1024");
      for (size_t at; (at = name.find("model.")) != std::string::npos;) name.erase(at, 6);
      if (name.starts_with("rq.layers.0.project_")) name.replace(0, 12, "rq.");
      names_.emplace(name, stored);
    }
    require(names_.contains(kCodebook), path.string(), ": holds no sound tokenizer (tensor ", kCodebook, ")");
  }

  // What is trained, and a model, is a folder.
  static std::filesystem::path found(const std::filesystem::path& path) {
    const auto inside = path / "sound_tokenizer.safetensors";
    return std::filesystem::exists(inside) ? inside : path;
  }

  std::string path() const { return file_->path().string(); }
  bool contains(const std::string& name) const { return names_.contains(name); }

  at::Tensor load(const std::string& name) const {
    const auto it = names_.find(name);
    require(it != names_.end(), path(), ": tensor ", name, " is missing");
    at::Tensor tensor = file_->load(it->second);
    return name == kCodebook && tensor.dim() == 3 && tensor.size(0) == 1 ? tensor[0] : tensor;
  }

  SoundTokenizerConfig config() const {
    SoundTokenizerConfig config;
    const auto* pickle = dynamic_cast<const TorchPickle*>(file_.get());
    if (pickle && pickle->object().is_object() && pickle->object().contains("config")) {
      config = published_config(pickle->object());
    } else if (pickle) {
      config = config_from_shapes();
    } else {
      config = SoundTokenizerConfig::from_json(stored_json());
    }
    if (!contains("positional_embedding.weight")) config.depth = 0;
    return config;
  }

  // The largest tensors, before memory is taken for what the configuration claims.
  void check_sizes(const SoundTokenizerConfig& config) const {
    config.validate();
    const auto check = [&](const char* name, const std::vector<int64_t>& expected) {
      const auto found = names_.find(name);
      require(found != names_.end(), "tensor ", name, " is missing");
      auto shape = file_->tensors().at(found->second).shape;
      if (shape.size() == 3 && shape[0] == 1) shape.erase(shape.begin());
      require(shape == expected, "tensor ", name, " has the shape ", at::IntArrayRef(shape),
              ", but the configuration asks for ", at::IntArrayRef(expected));
    };
    check(kCodebook, {config.codebook_rows, config.codebook_dim});
    check("mlp.0.weight", {config.width * config.ffn_mult, config.width});
  }

 private:
  // Ichigo's Lightning checkpoints keep no configuration: its options, with the sizes of the tensors.
  SoundTokenizerConfig config_from_shapes() const {
    require(!contains("rq.layers.1._codebook.embed"), "only one quantiser is supported");
    const auto codes = load(kCodebook).sizes().vec(), hidden = load("mlp.0.weight").sizes().vec();
    require(codes.size() == 2 && hidden.size() == 2 && hidden[1] > 0, "codebook or mlp.0.weight is not a matrix");
    SoundTokenizerConfig config;
    config.codebook_rows = codes[0];
    config.codebook_dim = codes[1];
    config.codes = codes[0] - 1;
    // The merged codebook of ichigo-asr-2501: 2048 codes, the mask, then WhisperVQ's 512.
    config.mask_code = codes[0] == 2561 ? 2048 : config.codes;
    config.width = hidden[1];
    config.ffn_mult = hidden[0] / hidden[1];
    config.n_head = config.width / config.head_width;
    config.rope = contains("_out_blocks.0.attn.rotary.inv_freq");
    config.downsample_conv = contains("downsample_conv.weight");
    config.downsample_mean = !config.downsample_conv;
    config.whisper_model_name = config.width == 1280 ? "large-v3" : "medium";
    config.depth = 0;
    while (config.depth < 64 && contains(concat("_out_blocks.", config.depth, ".attn_ln.weight"))) ++config.depth;
    return config;
  }

  json stored_json() const {
    const auto found = file_->metadata_texts().find(kMetadataKey);
    require(found != file_->metadata_texts().end(), "has no sound tokenizer configuration (metadata \"", kMetadataKey,
            "\")");
    return parse_json_object(found->second, concat("metadata \"", kMetadataKey, "\""));
  }

  std::unique_ptr<WeightFile> file_;
  std::map<std::string, std::string> names_;  // ours -> the file's
};

}  // namespace

void SoundTokenizerConfig::validate() const {
  auto between = [](int64_t value, int64_t low, int64_t high, const char* name) {
    require(value >= low && value <= high, "sound tokenizer configuration: ", name, " is ", value, ", expected ", low,
            " to ", high);
  };
  between(codes, 1, 1 << 20, "codes");
  between(codebook_rows, 1, 1 << 20, "codebook_rows");
  between(mask_code, 0, 1 << 20, "mask_code");
  between(codebook_dim, 1, 1 << 14, "codebook_dim");
  between(width, 1, 1 << 14, "width");
  between(n_head, 1, 1024, "n_head");
  between(head_width, 2, 1024, "head_width");
  between(ffn_mult, 1, 64, "ffn_mult");
  between(depth, 0, 64, "depth");
  between(downsample, 1, 100, "downsample");
  between(tail_frames, 0, kWindowFrames, "tail_frames");
  require(n_head * head_width == width, "sound tokenizer configuration: n_head ", n_head, " x head_width ", head_width,
          " is not width ", width);
  require(head_width % 2 == 0, "sound tokenizer configuration: head_width ", head_width, " must be even");
  require(!mask_embs || mask_code < codebook_rows, "sound tokenizer configuration: mask_code ", mask_code,
          " lies outside the codebook's ", codebook_rows, " rows");
  require(!(cut_to_length && downsample != 2), "sound tokenizer configuration: cut_to_length needs downsample 2");
}

json SoundTokenizerConfig::to_json() const {
  json result = json::object();
  visit_fields(*this, [&](const char* key, const auto& field) { result[key] = field; });
  return result;
}

SoundTokenizerConfig SoundTokenizerConfig::from_json(const json& object) {
  SoundTokenizerConfig config;
  visit_fields(config, [&](const char* key, auto& field) { read(object, key, field); });
  return config;
}

std::shared_ptr<Bottleneck> load_bottleneck(const std::filesystem::path& path, at::ScalarType dtype) {
  const BottleneckFile file(path);
  std::shared_ptr<Bottleneck> bottleneck;
  try {
    const SoundTokenizerConfig config = file.config();
    file.check_sizes(config);
    bottleneck = std::make_shared<Bottleneck>(config);
  } catch (const Error& error) {
    fail(file.path(), ": ", error.what());
  }
  whisper::load_parameters(*bottleneck, "", file.path(), dtype,
                           [&](const std::string& name) { return file.load(name); });
  for (auto& parameter : bottleneck->named_parameters()) {
    // From the file again, not back from the rounded type.
    if (parameter.key().starts_with("rq."))
      parameter.value().set_data(file.load(parameter.key()).to(at::kFloat).clone());
  }
  bottleneck->eval();
  return bottleneck;
}

void save_bottleneck(const std::filesystem::path& path, const Bottleneck& bottleneck,
                     const std::vector<TensorToWrite>& extra) {
  std::vector<TensorToWrite> tensors;
  auto add = [&](const std::string& name, const at::Tensor& tensor) {
    tensors.push_back({name, tensor.detach().to(at::kCPU, at::kFloat).contiguous(), std::nullopt});
  };
  for (const auto& parameter : bottleneck.named_parameters()) add(parameter.key(), parameter.value());
  for (const auto& buffer : bottleneck.named_buffers()) add(buffer.key(), buffer.value());
  tensors.insert(tensors.end(), extra.begin(), extra.end());
  write_safetensors(path, tensors, {{kMetadataKey, bottleneck.config().to_json().dump()}});
}

}  // namespace ichigo
