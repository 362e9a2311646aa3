// Trains the sound tokenizer's bottleneck on cached features of a frozen Whisper encoder, or the encoder with it.
// Objectives, each with a
// weight of its own: phonemes read off the codes by CTC; WhisperSpeech's own (vq_stoks.py: cross entropy of the
// transcript and KL to the teacher, through Whisper's frozen decoder); commitment to the codes. Much cheaper than
// WhisperSpeech's, and a good beginning for it: the squared error of the features that are made from the codes.
// Not here: the codebook's moving averages (codebook), the data's order (clip_batches), the head (ctc_head).
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "models/sound_tokenizer.h"
#include "training/codebook.h"
#include "training/ctc_head.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace ichigo {

struct SoundTokenizerRecipe {
  std::filesystem::path output;  // folder of checkpoints, metrics and the finished model
  std::vector<std::filesystem::path> features;
  // A finished sound tokenizer whose codes stay as they are: only the way from them back to Whisper's features is
  // trained, by mse, cross_entropy and kl.
  std::filesystem::path start;
  std::filesystem::path whisper;  // only for cross_entropy and kl
  // An encoder that is trained, too: `features` are log mel power then. Its learning rate follows the others' schedule
  // to a peak of its own; 0 leaves it as it is.
  std::filesystem::path encoder;
  double encoder_learning_rate = 1e-4;
  uint64_t seed = 0;
  double batch_seconds = 100;  // of speech, padding included
  int64_t checkpoint_steps = 50;
  bool quantize = true;            // false: the comparison, the same head on unquantised projections
  double quantize_after = 0.3;     // share of the steps before k-means
  int64_t kmeans_vectors = 30000;  // that the codebook starts from
  double time_mask = 0;            // share of the positions that the head does not see
  // Weights of the losses; 0 switches one off, and its cost.
  double ctc = 1, commitment = 1, cross_entropy = 0, kl = 0, mse = 0;
  double usage = 0;                 // log(codes) minus the entropy of the codes' mean probability over a batch
  double usage_temperature = 0.07;  // of the cosines, for those probabilities
  double decoder_seconds = 0;       // positions given to Whisper's decoder are padded to this length (0: the batch's)
  ScheduleConfig schedule;
  OptimizerConfig optimizer;
  CodebookConfig codebook;
  SoundTokenizerConfig tokenizer;
  CtcHeadConfig head;

  // Whether the way from the codes back to Whisper's features is trained.
  bool reads_back() const { return cross_entropy > 0 || kl > 0 || mse > 0; }
  // Throws Error for an unknown key or a wrong value.
  static SoundTokenizerRecipe read(const std::filesystem::path& path);
  // What a run must have in common with its checkpoints, as text.
  std::string fingerprint() const;
};

}  // namespace ichigo
