// A Whisper encoder with random weights, small enough to be trained in a test.
#pragma once
#include <ATen/ATen.h>

#include <filesystem>

#include "models/whisper.h"

namespace ichigo::test {

// 64 wide, two layers, 80 bands.
inline void write_tiny_encoder(const std::filesystem::path& path) {
  at::manual_seed(3);
  WhisperConfig config;
  config.n_audio_state = 64;
  config.n_audio_head = 1;
  config.n_audio_layer = 2;
  WhisperEncoder encoder(config);
  for (auto& item : encoder.named_parameters()) {
    const bool norm = item.key().find("ln") != std::string::npos;
    item.value().set_data(norm ? at::full(item.value().sizes(), item.key().ends_with("weight") ? 1.0 : 0.0)
                               : at::randn(item.value().sizes()) * 0.15);
  }
  save_encoder(path, encoder, at::kFloat);
}

}  // namespace ichigo::test
