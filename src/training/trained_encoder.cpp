#include "training/trained_encoder.h"

#include <ATen/ATen.h>

#include "audio/log_mel.h"
#include "base/device.h"
#include "training/checkpoint.h"

namespace ichigo {
namespace {

// Parameters in the type that is fast here, their optimiser's masters as the file has them.
AdamW optimizer_of(WhisperEncoder& encoder, const std::filesystem::path& whisper, const OptimizerConfig& config) {
  const auto exact = load_whisper(whisper, at::kFloat, /*with_decoder=*/false).encoder;
  const auto masters = exact->named_parameters();
  Optimizer::NamedParameters parameters;
  Optimizer::Masters values;
  for (auto& item : encoder.named_parameters()) {
    item.value().set_requires_grad(true);
    parameters.emplace_back(item.key(), item.value());
    values.emplace(item.key(), *masters.find(item.key()));
  }
  return {std::move(parameters), config, values};
}

}  // namespace

at::Tensor pooled_features(const SoundTokenizer& ear, const Clip& clip) {
  const at::Tensor power = clip.file->features(*clip.source).t().to(at::kFloat).contiguous();
  const at::Tensor frames = ear.features(StreamingLogMel::normalize(power))[0];
  const int64_t pool = ear.config().downsample;
  return frames.narrow(0, 0, clip.length * pool).unflatten(0, {clip.length, pool}).to(at::kFloat).mean(1);
}

std::string mark_of(const WhisperEncoder& encoder) {
  std::string marks;
  for (const auto& item : encoder.named_parameters()) {
    if (item.key().starts_with("ln_post")) marks += " " + mark_of(item.value());
  }
  return marks;
}

void save_trained_encoder(const std::filesystem::path& path, const WhisperConfig& config,
                          const Optimizer::Masters& weights) {
  WhisperEncoder encoder(config);
  for (auto& item : encoder.named_parameters()) item.value().set_data(weights.at(item.key()));
  save_encoder(path, encoder, at::kFloat);
}

std::filesystem::path trained_encoder_file(const std::filesystem::path& folder) {
  return folder / "whisper.safetensors";
}

TrainedEncoder::TrainedEncoder(const std::filesystem::path& whisper, const SoundTokenizerConfig& tokenizer,
                               const OptimizerConfig& optimizer)
    : ear_(load_whisper(whisper, fast_dtype(at::kCPU), /*with_decoder=*/false).encoder,
           std::make_shared<Bottleneck>(tokenizer)),
      began_as_(mark_of(ear_.encoder())),
      optimizer_(optimizer_of(ear_.encoder(), whisper, optimizer)) {
  for (const auto& parameter : ear_.encoder().parameters()) parameters_ += parameter.numel();
}

void TrainedEncoder::save(const std::filesystem::path& folder) const {
  save_trained_encoder(trained_encoder_file(folder), ear_.encoder().config(), optimizer_.master_weights());
}

}  // namespace ichigo
