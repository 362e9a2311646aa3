#include "models/speech_adapter.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "base/error.h"
#include "weights/safetensors.h"

namespace ichigo {

SpeechAdapter SpeechAdapter::random(int64_t width, const at::Tensor& embedding, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor rows = embedding.to(at::kFloat);
  const at::Tensor spread = rows.std(0).unsqueeze(1) / std::sqrt(static_cast<double>(width));
  return {at::randn({rows.size(1), width}, generator, at::kFloat) * spread, rows.mean(0)};
}

SpeechAdapter SpeechAdapter::load(const std::filesystem::path& path, int64_t width, int64_t hidden_size) {
  const auto file = open_weights(path);
  const auto read = [&](const char* name, at::IntArrayRef shape) {
    require(file->contains(name), path.string(), " has no tensor \"", name, "\": it is no speech adapter");
    const at::Tensor stored = file->load_as(name, at::kFloat).clone();
    require(stored.sizes() == shape, path.string(), ": ", name, " has the shape ", stored.sizes(), ", but features of ",
            width, " and a decoder of ", hidden_size, " need ", shape);
    return stored;
  };
  return {read(kWeight, {hidden_size, width}), read(kBias, {hidden_size})};
}

void SpeechAdapter::save(const std::filesystem::path& path) const {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, parameter] : parameters()) tensors.emplace_back(name, parameter.detach());
  write_safetensors(path, tensors);
}

SpeechAdapter SpeechAdapter::to(const at::TensorOptions& options) const {
  return {weight.to(options, /*non_blocking=*/false, /*copy=*/true), bias.to(options, false, true)};
}

at::Tensor SpeechAdapter::forward(const at::Tensor& features) const {
  return at::linear(features.to(weight.scalar_type()), weight, bias);
}

}  // namespace ichigo
