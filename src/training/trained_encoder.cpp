#include "training/trained_encoder.h"

#include <ATen/ATen.h>

#include "audio/log_mel.h"
#include "base/device.h"
#include "training/checkpoint.h"

namespace ichigo {

AdamW optimizer_of(WhisperEncoder& encoder, const WhisperEncoder& exact, const OptimizerConfig& config) {
  const auto weights = exact.named_parameters();
  Optimizer::NamedParameters parameters;
  Optimizer::Masters masters;
  for (auto& item : encoder.named_parameters()) {
    item.value().set_requires_grad(true);
    parameters.emplace_back(item.key(), item.value());
    masters.emplace(item.key(), *weights.find(item.key()));
  }
  return {std::move(parameters), config, masters};
}

at::Tensor pooled_features(const SoundTokenizer& ear, const Clip& clip) {
  const at::Tensor power = clip.file->features(*clip.source).t().to(at::kFloat).contiguous();
  return pool_frames(ear.features(StreamingLogMel::normalize(power))[0], clip.length);
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
      optimizer_(optimizer_of(ear_.encoder(), *load_whisper(whisper, at::kFloat, /*with_decoder=*/false).encoder,
                              optimizer)) {
  for (const auto& parameter : ear_.encoder().parameters()) parameters_ += parameter.numel();
}

void TrainedEncoder::save(const std::filesystem::path& folder) const {
  save_trained_encoder(trained_encoder_file(folder), ear_.encoder().config(), optimizer_.master_weights());
}

}  // namespace ichigo
