#include "training/trainers.h"

#include <string>

#include "base/device.h"
#include "base/error.h"
#include "base/recipe.h"
#include "training/process_group.h"

namespace ichigo {

bool train(const std::filesystem::path& recipe, const TrainOptions& options) {
  keep_freed_memory();
  const std::string what = read_recipe(recipe).text("train");
  require(what == "decoder" || ProcessGroupConfig::from_environment().ranks == 1, recipe.string(),
          ": only a decoder is trained by several ranks; unset WORLD_SIZE");
  require(what == "decoder" || options.device.value_or(c10::kCPU).is_cpu(), recipe.string(),
          ": only a decoder is trained on a GPU; use --device cpu");
  if (what == "sound_tokenizer") return train_sound_tokenizer(recipe, options);
  if (what == "streaming_tokenizer") return train_streaming_tokenizer(recipe, options);
  if (what == "decoder") return train_decoder(recipe, options);
  fail(recipe.string(), ": \"train\" is \"", what, "\"; it must be sound_tokenizer, streaming_tokenizer or decoder");
}

std::filesystem::path run_folder(const std::filesystem::path& recipe) {
  return read_recipe(recipe).path("output");
}

}  // namespace ichigo
