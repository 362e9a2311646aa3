// The recipe of a decoder (`train: decoder`): what it learns from, for how long and how. Its keys are known here alone.
#pragma once
#include <filesystem>
#include <vector>

#include "data/mixture.h"
#include "models/fused_model.h"
#include "training/letter_loss.h"
#include "training/optimizer_choice.h"
#include "training/schedule.h"

namespace ichigo {

struct DecoderRecipe {
  std::filesystem::path output, base;
  std::string shape;  // of the base (models/named_shape): for a plan that is made before the base is there
  // How the rows of new sound tokens begin: alike for like vectors (a sound tokenizer's weights), or as the letters of
  // their phones (the folder of a sound tokenizer trained with CTC).
  std::filesystem::path codebook, spelling;
  // Speech is heard as vectors (models/speech_adapter), made of the features beside the rows; this is the ear that made
  // those, and that the model is written with. A base that has an adapter goes on with it. None: heard as codes.
  EarFiles adapter;
  // Each weight begins so far on its way from the base to that of another model of the same shape (the one that the
  // base was made from, say): what was forgotten comes back, and training mends the rest (Wortsman et al., arXiv
  // 2109.01903).
  std::filesystem::path blend_with;
  double blend_share = 0;  // in (0, 1)
  std::vector<MixtureSource> mixture, validation;
  OptimizerKind optimizer_kind = OptimizerKind::kAdamW;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  LossMask loss = LossMask::kAnswer;
  LetterLossConfig letters;
  int64_t codes = 512, seed = 1, step_tokens = 8192, batch_tokens = 4096, longest_sample = 512;
  int64_t checkpoint_steps = 100, validation_steps = 50, validation_tokens = 8192;
  bool checkpointing = false, bf16 = true;  // bf16: where the device multiplies it fast, else float32

  // Reads and checks a recipe. Throws Error.
  static DecoderRecipe read(const std::filesystem::path& path);
  // What a checkpoint's recipe must agree in. Schedule, batches and validation may change on the way.
  std::string fingerprint() const;
};

}  // namespace ichigo
