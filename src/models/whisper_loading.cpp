// Whisper weights from openai-whisper .pt, Hugging Face and CTranslate2 files: one table of three spellings.
// CTranslate2 stacks query, key and value (cross-attention: key and value) into one matrix, which is cut up again.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "models/whisper.h"
#include "models/whisper_layers.h"
#include "text/json_text.h"
#include "weights/safetensors.h"
#include "weights/torch_pickle.h"

namespace ichigo {

namespace {

constexpr char kBlocksKey[] = "ichigo.encoder_blocks";

enum class Spelling { kOpenai, kHuggingFace, kCtranslate2 };

struct Name {
  std::string_view openai, hugging_face, ctranslate2;
  int part = 0, parts = 1;  // rows of the CTranslate2 tensor
};

constexpr Name kNames[] = {
    {"attn.query", "self_attn.q_proj", "self_attention/linear_0", 0, 3},
    {"attn.key", "self_attn.k_proj", "self_attention/linear_0", 1, 3},
    {"attn.value", "self_attn.v_proj", "self_attention/linear_0", 2, 3},
    {"attn.out", "self_attn.out_proj", "self_attention/linear_1"},
    {"attn_ln", "self_attn_layer_norm", "self_attention/layer_norm"},
    {"cross_attn.query", "encoder_attn.q_proj", "attention/linear_0"},
    {"cross_attn.key", "encoder_attn.k_proj", "attention/linear_1", 0, 2},
    {"cross_attn.value", "encoder_attn.v_proj", "attention/linear_1", 1, 2},
    {"cross_attn.out", "encoder_attn.out_proj", "attention/linear_2"},
    {"cross_attn_ln", "encoder_attn_layer_norm", "attention/layer_norm"},
    {"mlp.0", "fc1", "ffn/linear_0"},
    {"mlp.2", "fc2", "ffn/linear_1"},
    {"mlp_ln", "final_layer_norm", "ffn/layer_norm"},
    {"conv1", "conv1", "conv1"},
    {"conv2", "conv2", "conv2"},
    {"ln_post", "layer_norm", "layer_norm"},
    {"ln", "layer_norm", "layer_norm"},
    {"token_embedding", "embed_tokens", "embeddings"},
};

// A Whisper file seen under openai-whisper's names.
class WhisperFile {
 public:
  explicit WhisperFile(const std::filesystem::path& path) : file_(open_weights(path)) {
    if (file_->contains("encoder/conv1/weight")) {
      spelling_ = Spelling::kCtranslate2;
    } else if (file_->contains("model.encoder.layers.0.fc1.weight")) {
      spelling_ = Spelling::kHuggingFace, prefix_ = "model.";
    } else if (file_->contains("encoder.layers.0.fc1.weight")) {
      spelling_ = Spelling::kHuggingFace;
    } else if (!file_->contains("encoder.conv1.weight") && file_->contains("conv1.weight")) {
      bare_encoder_ = true;
    } else {
      require(file_->contains("encoder.conv1.weight"), path.string(),
              ": holds no Whisper encoder (tensor encoder.conv1.weight or its Hugging Face or CTranslate2 name)");
    }
  }

  const WeightFile& file() const { return *file_; }
  std::string path() const { return file_->path().string(); }
  bool contains(const std::string& name) const { return file_->contains(find(name).first); }

  // Shape by openai-whisper's name. Throws Error when the tensor is missing or has another number of dimensions.
  std::vector<int64_t> shape(const std::string& name, size_t dimensions) const {
    const std::string stored = check(name);
    const auto& shape = file_->tensors().at(stored).shape;
    require(shape.size() == dimensions, path(), ": tensor ", stored, " has ", shape.size(), " dimensions, expected ",
            dimensions);
    return shape;
  }

  at::Tensor load(const std::string& name) const {
    check(name);
    const auto [stored, row] = find(name);
    at::Tensor tensor = file_->load(stored);
    if (row && row->parts > 1 && spelling_ == Spelling::kCtranslate2) {
      require(tensor.dim() >= 1 && tensor.size(0) % row->parts == 0, path(), ": tensor ", stored, " has shape ",
              tensor.sizes(), ", which cannot be cut into ", row->parts);
      tensor = tensor.chunk(row->parts, 0)[row->part];
    }
    return tensor;
  }

  int64_t count_blocks(const std::string& side) const {
    int64_t count = 0;
    while (contains(concat(side, ".blocks.", count, ".attn_ln.weight"))) ++count;
    return count;
  }

 private:
  std::string check(const std::string& name) const {
    const std::string stored = find(name).first;
    require(file_->contains(stored), path(), ": tensor ", stored, " is missing");
    return stored;
  }

  // openai-whisper's name -> the file's own name, and its row of the table.
  std::pair<std::string, const Name*> find(const std::string& name) const {
    if (spelling_ == Spelling::kOpenai) return {bare_encoder_ ? name.substr(name.find('.') + 1) : name, nullptr};
    const bool hugging_face = spelling_ == Spelling::kHuggingFace;
    const size_t dot = name.find('.');
    std::string result = prefix_ + name.substr(0, dot) + (hugging_face ? "." : "/");
    std::string rest = name.substr(dot + 1);
    if (rest == "positional_embedding") {
      return {result + (hugging_face ? "embed_positions.weight" : "position_encodings/encodings"), nullptr};
    }
    if (rest.starts_with("blocks.")) {
      const size_t end = rest.find('.', 7);
      result += (hugging_face ? "layers." : "layer_") + rest.substr(7, end - 7) + (hugging_face ? "." : "/");
      rest = rest.substr(end + 1);
    }
    const size_t last = rest.rfind('.');
    const std::string_view module = std::string_view(rest).substr(0, last);
    std::string_view kind = std::string_view(rest).substr(last + 1);
    const auto* row =
        std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.openai == module; });
    if (row == std::end(kNames)) return {name, nullptr};
    if (hugging_face) return {concat(result, row->hugging_face, ".", kind), row};
    if (row->ctranslate2.ends_with("layer_norm")) kind = kind == "weight" ? "gamma" : "beta";
    return {concat(result, row->ctranslate2, "/", kind), row};
  }

  std::unique_ptr<WeightFile> file_;
  Spelling spelling_ = Spelling::kOpenai;
  std::string prefix_;
  bool bare_encoder_ = false;
};

int64_t positive_integer(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  require(it != object.end() && it->is_number_integer() && it->get<int64_t>() > 0, where, ": ", key,
          " is missing or not a positive integer");
  return it->get<int64_t>();
}

// Head counts are the only thing that shapes do not tell: 64 wide unless the file says otherwise.
void read_heads(const WhisperFile& file, WhisperConfig& config) {
  config.n_audio_head = std::max<int64_t>(1, config.n_audio_state / 64);
  config.n_text_head = std::max<int64_t>(1, config.n_text_state / 64);
  if (const auto* pickle = dynamic_cast<const TorchPickle*>(&file.file())) {
    const auto& object = pickle->object();
    if (!object.is_object() || !object.contains("dims")) return;
    const auto& dims = object["dims"];
    config.n_audio_head = positive_integer(dims, "n_audio_head", file.path() + ": dims");
    config.n_text_head = positive_integer(dims, "n_text_head", file.path() + ": dims");
    config.n_vocab = positive_integer(dims, "n_vocab", file.path() + ": dims");
    return;
  }
  for (const auto& [name, heads] :
       {std::pair{"encoder/num_heads", &config.n_audio_head}, std::pair{"decoder/num_heads", &config.n_text_head}}) {
    if (!file.file().contains(name)) continue;
    const at::Tensor stored = file.file().load(name);
    require(stored.numel() == 1, file.path(), ": ", name, " is not a single number");
    *heads = stored.to(at::kLong).item<int64_t>();
  }
  const std::filesystem::path path = file.file().path();
  const auto config_path = (std::filesystem::is_directory(path) ? path : path.parent_path()) / "config.json";
  if (!file.file().contains("encoder/conv1/weight") && std::filesystem::exists(config_path)) {
    const auto json = parse_json_object(read_file(config_path), config_path.string());
    if (!json.contains("model_type") || json["model_type"] != "whisper") return;
    config.n_audio_head = positive_integer(json, "encoder_attention_heads", config_path.string());
    config.n_text_head = positive_integer(json, "decoder_attention_heads", config_path.string());
  }
}

// A published file has none of this.
EncoderBlocks read_blocks(const WhisperFile& file) {
  const auto& texts = file.file().metadata_texts();
  const auto found = texts.find(kBlocksKey);
  if (found == texts.end()) return {};
  const std::string where = concat(file.path(), ": metadata \"", kBlocksKey, "\"");
  const auto json = parse_json_object(found->second, where);
  const auto number = [&](const char* key) {
    require(json.contains(key) && json[key].is_number_integer(), where, ": ", key, " is missing or not an integer");
    return json[key].get<int64_t>();
  };
  return {number("frames"), number("look_ahead"), number("context")};
}

WhisperConfig read_config(const WhisperFile& file) {
  WhisperConfig config;
  const auto conv = file.shape("encoder.conv1.weight", 3);
  config.n_audio_state = config.n_text_state = conv[0];
  config.n_mels = conv[1];
  if (file.contains("encoder.positional_embedding")) {
    const auto positions = file.shape("encoder.positional_embedding", 2);
    config.n_audio_ctx = positions[0];
    require(positions[1] == config.n_audio_state, file.path(), ": encoder.positional_embedding has shape ",
            at::IntArrayRef(positions), ", expected ", config.n_audio_state, " columns as encoder.conv1.weight has rows");
  }
  config.n_audio_layer = file.count_blocks("encoder");
  config.n_text_layer = 0;
  if (file.contains("decoder.token_embedding.weight")) {
    const auto embedding = file.shape("decoder.token_embedding.weight", 2);
    config.n_vocab = embedding[0];
    config.n_text_state = embedding[1];
    config.n_text_ctx = file.shape("decoder.positional_embedding", 2)[0];
    config.n_text_layer = file.count_blocks("decoder");
    require(config.n_text_layer > 0, file.path(), ": the decoder has no blocks");
  }
  read_heads(file, config);
  config.blocks = read_blocks(file);
  return config;
}

template <typename Module>
std::shared_ptr<Module> load_side(const WhisperFile& file, const WhisperConfig& config, const std::string& side,
                                  at::ScalarType dtype) {
  auto module = std::make_shared<Module>(config);
  whisper::load_parameters(*module, side + ".", file.path(), dtype, [&](const std::string& name) {
    if (name != "encoder.positional_embedding" || file.contains(name)) return file.load(name);
    return whisper::sinusoids(config.n_audio_ctx, config.n_audio_state);
  });
  for (auto& parameter : module->parameters()) parameter.set_requires_grad(false);
  module->eval();
  return module;
}

}  // namespace

Whisper load_whisper(const std::filesystem::path& path, at::ScalarType dtype, bool with_decoder) {
  const WhisperFile file(path);
  Whisper model;
  model.config = read_config(file);
  try {
    model.config.validate();
  } catch (const Error& error) {
    fail(file.path(), ": ", error.what());
  }
  model.encoder = load_side<WhisperEncoder>(file, model.config, "encoder", dtype);
  if (with_decoder && model.config.n_text_layer > 0) {
    model.decoder = load_side<WhisperDecoder>(file, model.config, "decoder", dtype);
  }
  return model;
}

void save_encoder(const std::filesystem::path& path, const WhisperEncoder& encoder, at::ScalarType dtype,
                  std::optional<BlockType> matrices) {
  std::vector<TensorToWrite> tensors;
  for (const auto& item : encoder.named_parameters()) {
    const at::Tensor tensor = item.value().detach();
    tensors.emplace_back("encoder." + item.key(), tensor.sizes().vec(), dtype,
                         tensor.dim() == 2 ? matrices : std::nullopt, [tensor] { return tensor; });
  }
  std::map<std::string, std::string> metadata;
  const EncoderBlocks& blocks = encoder.config().blocks;
  if (blocks.any()) {
    metadata[kBlocksKey] =
        nlohmann::json{{"frames", blocks.frames}, {"look_ahead", blocks.look_ahead}, {"context", blocks.context}}
            .dump();
  }
  write_safetensors(path, tensors, metadata);
}

}  // namespace ichigo
