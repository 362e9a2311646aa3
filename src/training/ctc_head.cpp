#include "training/ctc_head.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/random.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

constexpr int64_t kHeadWidth = 64;
constexpr const char* kTensors = "ctc_head.safetensors";
constexpr const char* kConfig = "ctc_head.json";

// Weights are float32 and cast to the type of what flows through.
at::Tensor like(const at::Tensor& weight, const at::Tensor& x) {
  return weight.to(x.scalar_type());
}

struct Affine : torch::nn::Module {
  at::Tensor weight, bias;
  Affine(at::IntArrayRef shape, int64_t out)
      : weight(register_parameter("weight", at::empty(shape))), bias(register_parameter("bias", at::empty({out}))) {}
  at::Tensor linear(const at::Tensor& x) const { return at::linear(x, like(weight, x), like(bias, x)); }
  at::Tensor norm(const at::Tensor& x) const {
    return at::layer_norm(x, weight.sizes(), like(weight, x), like(bias, x), 1e-5);
  }
  // [batch, time, in] -> [batch, time, out], the length kept.
  at::Tensor convolve(const at::Tensor& x, int64_t groups) const {
    return at::conv1d(x.transpose(1, 2), like(weight, x), like(bias, x), 1, weight.size(2) / 2, 1, groups)
        .transpose(1, 2);
  }
};

}  // namespace

struct CtcHead::Layer : torch::nn::Module {
  explicit Layer(const CtcHeadConfig& config) {
    const int64_t width = config.width;
    attention_norm = add("attention_norm", {width}, width);
    attention_in = add("attention_in", {3 * width, width}, 3 * width);
    attention_out = add("attention_out", {width, width}, width);
    convolution_norm = add("convolution_norm", {width}, width);
    depthwise = add("depthwise", {width, 1, config.kernel}, width);
    pointwise = add("pointwise", {width, width}, width);
    mlp_norm = add("mlp_norm", {width}, width);
    mlp_in = add("mlp_in", {4 * width, width}, 4 * width);
    mlp_out = add("mlp_out", {width, 4 * width}, width);
  }
  std::shared_ptr<Affine> add(const char* name, at::IntArrayRef shape, int64_t out) {
    return register_module(name, std::make_shared<Affine>(shape, out));
  }
  // key_mask [batch, 1, 1, time]: 0, or very negative in the padding.
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& key_mask, double dropout) const {
    const int64_t batch = x.size(0), time = x.size(1), width = x.size(2);
    const auto qkv =
        attention_in->linear(attention_norm->norm(x)).view({batch, time, 3, width / kHeadWidth, kHeadWidth});
    const auto head = [&](int64_t which) { return qkv.select(2, which).transpose(1, 2); };
    const auto attended = at::scaled_dot_product_attention(head(0), head(1), head(2), key_mask);
    x = x + attention_out->linear(attended.transpose(1, 2).reshape({batch, time, width}));
    const auto sound = convolution_norm->norm(x) * mask;
    x = x + pointwise->linear(at::gelu(depthwise->convolve(sound, width)));
    return x + at::dropout(mlp_out->linear(at::gelu(mlp_in->linear(mlp_norm->norm(x)))), dropout, is_training());
  }
  std::shared_ptr<Affine> attention_norm, attention_in, attention_out, convolution_norm, depthwise, pointwise, mlp_norm,
      mlp_in, mlp_out;
};

struct CtcHead::Ends {
  std::shared_ptr<Affine> input_norm, input, front, norm, output;
};

void CtcHeadConfig::validate() const {
  require(input > 0 && outputs > 1, "a CTC head needs an input and at least one phoneme");
  require(width > 0 && width % kHeadWidth == 0 && width <= 4096, "the CTC head's width must be a multiple of ",
          kHeadWidth, ", not ", width);
  require(layers >= 0 && layers <= 100, "the CTC head's layers must be 0 to 100, not ", layers);
  require(kernel > 0 && kernel % 2 == 1 && kernel < 100, "the CTC head's kernel must be odd, not ", kernel);
  require(dropout >= 0 && dropout < 1, "dropout must be in [0, 1), not ", dropout);
}

CtcHead::CtcHead(const CtcHeadConfig& config) : config_(config), ends_(std::make_shared<Ends>()) {
  config.validate();
  const auto add = [&](const char* name, at::IntArrayRef shape, int64_t out) {
    return register_module(name, std::make_shared<Affine>(shape, out));
  };
  ends_->input_norm = add("input_norm", {config.input}, config.input);
  ends_->input = add("input", {config.width, config.input}, config.width);
  ends_->front = add("front", {config.width, config.width, 5}, config.width);
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.push_back(register_module("layer" + std::to_string(i), std::make_shared<Layer>(config)));
  }
  ends_->norm = add("norm", {config.width}, config.width);
  ends_->output = add("output", {config.outputs, config.width}, config.outputs);
}

void CtcHead::initialize(uint64_t seed) {
  const at::NoGradGuard no_gradient;
  Random random(seed);
  for (auto& item : named_parameters()) {
    at::Tensor& values = item.value();
    if (values.dim() == 1) {
      values.fill_(item.key().ends_with("norm.weight") ? 1 : 0);
      continue;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(values.numel() / values.size(0)));
    float* value = values.mutable_data_ptr<float>();
    for (int64_t i = 0; i < values.numel(); ++i) value[i] = static_cast<float>(random.uniform(-bound, bound));
  }
}

at::Tensor CtcHead::forward(const at::Tensor& embedded, const at::Tensor& mask) {
  const auto wide_mask = mask.unsqueeze(-1);
  const auto key_mask = ((mask - 1) * 1e4).view({mask.size(0), 1, 1, mask.size(1)});
  auto x = ends_->input->linear(ends_->input_norm->norm(embedded)) * wide_mask;
  x = x + at::gelu(ends_->front->convolve(x, 1));
  x = at::dropout(x, config_.dropout, is_training());
  for (const auto& layer : layers_) x = layer->forward(x, wide_mask, key_mask, config_.dropout);
  return ends_->output->linear(ends_->norm->norm(x)).to(at::kFloat);
}

at::Tensor phoneme_ctc_loss(const at::Tensor& logits, const at::Tensor& lengths, const at::Tensor& phonemes,
                            const at::Tensor& phoneme_lengths) {
  const auto log_probabilities = at::log_softmax(logits, -1).transpose(0, 1);
  const auto sum = at::ctc_loss(log_probabilities, phonemes, lengths, phoneme_lengths, /*blank=*/0, at::Reduction::Sum,
                                /*zero_infinity=*/true);
  return sum / std::max<double>(1.0, static_cast<double>(phonemes.numel()));
}

std::vector<int64_t> greedy_phonemes(const at::Tensor& logits) {
  const auto best = logits.argmax(-1).contiguous();
  const int64_t* id = best.const_data_ptr<int64_t>();
  std::vector<int64_t> phonemes;
  for (int64_t t = 0; t < best.numel(); ++t) {
    if (id[t] != 0 && (t == 0 || id[t] != id[t - 1])) phonemes.push_back(id[t]);
  }
  return phonemes;
}

int64_t ctc_positions(std::span<const int64_t> phonemes) {
  auto positions = static_cast<int64_t>(phonemes.size());
  for (size_t i = 1; i < phonemes.size(); ++i) positions += phonemes[i] == phonemes[i - 1] ? 1 : 0;
  return positions;
}

void save_ctc_head(const std::filesystem::path& folder, const CtcHead& head, const PhonemeSet& phonemes) {
  const auto& config = head.config();
  std::vector<std::string> phones;
  for (int64_t id = 1; id < phonemes.size(); ++id) phones.push_back(phonemes.phone(id));
  std::vector<TensorToWrite> tensors;
  for (const auto& item : head.named_parameters()) {
    tensors.push_back({item.key(), item.value().detach().cpu(), std::nullopt});
  }
  write_safetensors(folder / kTensors, tensors);
  const nlohmann::json json = {{"input", config.input},      {"width", config.width},     {"layers", config.layers},
                               {"kernel", config.kernel},    {"dropout", config.dropout}, {"quantize", config.quantize},
                               {"outputs", phonemes.size()}, {"phones", phones}};
  write_file(folder / kConfig, json.dump(1) + "\n");
}

std::pair<std::shared_ptr<CtcHead>, PhonemeSet> load_ctc_head(const std::filesystem::path& folder) {
  const auto config_path = folder / kConfig;
  auto phonemes = PhonemeSet::load(config_path);
  CtcHeadConfig config;
  try {
    const auto json = nlohmann::json::parse(read_file(config_path));
    config.input = json.at("input");
    config.width = json.at("width");
    config.layers = json.at("layers");
    config.kernel = json.at("kernel");
    config.quantize = json.at("quantize");
    config.outputs = phonemes.size();
    config.validate();
  } catch (const std::exception& error) {
    fail(config_path.string(), " does not describe a CTC head: ", error.what());
  }
  const auto file = open_safetensors(folder / kTensors);
  auto head = std::make_shared<CtcHead>(config);
  const at::NoGradGuard no_gradient;
  for (auto& item : head->named_parameters()) {
    const auto tensor = file->load(item.key());
    require(tensor.sizes() == item.value().sizes(), file->path().string(), ": tensor \"", item.key(), "\" has shape ",
            tensor.sizes(), ", expected ", item.value().sizes());
    item.value().copy_(tensor);
  }
  head->eval();
  return {head, std::move(phonemes)};
}

TrainedSoundTokenizer load_trained_sound_tokenizer(const std::filesystem::path& folder) {
  auto bottleneck = load_bottleneck(folder / "sound_tokenizer.safetensors");
  auto [head, phonemes] = load_ctc_head(folder);
  require(head->config().input == bottleneck->config().width, folder.string(),
          ": the CTC head does not belong to this sound tokenizer");
  return {std::move(bottleneck), std::move(head), std::move(phonemes)};
}

}  // namespace ichigo
