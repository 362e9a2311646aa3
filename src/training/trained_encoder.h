// A Whisper encoder that is trained together with the sound tokenizer behind it, on clips of log mel power
// (`synthesize: mel`). The published tokenizers' encoder stays frozen: this tells what that costs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "models/sound_tokenizer.h"
#include "training/adamw.h"
#include "training/clip_batches.h"

namespace ichigo {

// What the ear's encoder makes of a clip of log mel power, as pooled_features gives it from a file of encoder output:
// float32 [length, width].
at::Tensor pooled_features(const SoundTokenizer& ear, const Clip& clip);
// For an encoder's parameters, in whatever type is fast, from now on with gradients; the masters begin as `exact`'s.
AdamW optimizer_of(WhisperEncoder& encoder, const WhisperEncoder& exact, const OptimizerConfig& config);
// Tells encoders apart by what they hold.
std::string mark_of(const WhisperEncoder& encoder);
// Writes an encoder of this shape with the weights that an optimiser has for it, in float32.
void save_trained_encoder(const std::filesystem::path& path, const WhisperConfig& config,
                          const Optimizer::Masters& weights);
// Where a trained sound tokenizer's folder has an encoder of its own.
std::filesystem::path trained_encoder_file(const std::filesystem::path& folder);

class TrainedEncoder {
 public:
  // Begins as `whisper` (a path as load_whisper's). Throws Error when the tokenizer is of another width.
  TrainedEncoder(const std::filesystem::path& whisper, const SoundTokenizerConfig& tokenizer,
                 const OptimizerConfig& optimizer);
  int64_t bands() const { return ear_.encoder().config().n_mels; }
  int64_t parameters() const { return parameters_; }
  const std::string& began_as() const { return began_as_; }
  // pooled_features, with gradients where they are on.
  at::Tensor hear(const Clip& clip) const { return pooled_features(ear_, clip); }
  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }
  void save(const std::filesystem::path& folder) const;

 private:
  SoundTokenizer ear_;  // only its encoder is used
  std::string began_as_;
  int64_t parameters_ = 0;
  AdamW optimizer_;
};

}  // namespace ichigo
