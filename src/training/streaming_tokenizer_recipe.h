// What `ichigo train` is asked for by a recipe with "train: streaming_tokenizer".
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/whisper.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace ichigo {

struct StreamingTokenizerRecipe {
  std::filesystem::path output;               // folder of checkpoints, metrics and the encoder
  std::vector<std::filesystem::path> speech;  // feature files of log mel power (synthesize: mel)
  std::filesystem::path tokenizer, whisper;   // the teacher; its quantiser stays as it is
  uint64_t seed = 0;
  double batch_seconds = 80;  // of speech in a step
  int64_t checkpoint_steps = 50;
  double later_share = 0.3;  // of the clips that begin at a later one of Whisper's positions than 0
  double temperature = 0.02;
  double kl = 1, distance = 1;  // weights of the losses
  EncoderBlocks blocks{16, 32, 25};
  ScheduleConfig schedule;
  OptimizerConfig optimizer;

  // Throws Error for an unknown key or a wrong value.
  static StreamingTokenizerRecipe read(const std::filesystem::path& path);
  // What a run must have in common with its checkpoints, as text.
  std::string fingerprint() const;
};

}  // namespace ichigo
