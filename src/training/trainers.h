// What `ichigo train RECIPE.yaml` runs: the recipe's "train" key names the trainer.
#pragma once
#include <c10/core/Device.h>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace ichigo {

struct TrainOptions {
  int64_t stop_after_steps = 0;   // 0: to the recipe's end; else stop (with a checkpoint) after so many more steps
  double stop_after_seconds = 0;  // likewise by time
  bool stops_early() const { return stop_after_steps > 0 || stop_after_seconds > 0; }
  // The step at which a run of `total` steps that stands at `step` ends now.
  int64_t last_step(int64_t step, int64_t total) const {
    return stop_after_steps > 0 ? std::min(total, step + stop_after_steps) : total;
  }
  std::optional<c10::Device> device;  // only a decoder is trained elsewhere than on the processor; none: where it can be
};

// train: sound_tokenizer | streaming_tokenizer | decoder; output: the folder of checkpoints, metrics and the model.
// Resumes from the run's newest checkpoint. False where it stopped before the recipe's end: by `options`, or by a signal
// (base/interrupt). Throws Error.
bool train(const std::filesystem::path& recipe, const TrainOptions& options = {});
// The recipe's key "output". Throws Error.
std::filesystem::path run_folder(const std::filesystem::path& recipe);

bool train_sound_tokenizer(const std::filesystem::path& recipe, const TrainOptions& options);
bool train_streaming_tokenizer(const std::filesystem::path& recipe, const TrainOptions& options);
bool train_decoder(const std::filesystem::path& recipe, const TrainOptions& options);

}  // namespace ichigo
