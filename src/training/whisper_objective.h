// WhisperSpeech's objective for a sound tokenizer (vq_stoks.py): Whisper's frozen decoder must read the transcript off
// the codes (cross entropy), and as it would off the true features (KL to the teacher).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>

#include "training/clip_batches.h"

namespace ichigo {

struct WhisperLosses {
  at::Tensor cross_entropy, kl;  // float32 scalars, means over the transcripts' tokens; zero when not asked for
};

class WhisperObjective {
 public:
  // Whisper's weights and, beside them, its vocabulary. Throws Error.
  explicit WhisperObjective(const std::filesystem::path& whisper);
  ~WhisperObjective();
  // features [batch, frames, width]: the codes' way back to Whisper's features, with gradients.
  WhisperLosses losses(const ClipBatch& batch, const at::Tensor& features, bool cross_entropy, bool kl) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ichigo
