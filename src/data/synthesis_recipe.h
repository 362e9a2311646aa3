// What `ichigo synthesize RECIPE.yaml` is asked for: the recipe's settings and the rows that follow from them.
// docs/recipes.md explains every key.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audio/augmentation.h"

namespace ichigo {

enum class SynthesisKind { kCodes, kFeatures, kAudio };

struct SynthesisRow {
  std::string text, answer;
  std::string kind;                 // "question", "instruction" or "transcript"
  std::vector<std::string> accept;  // what marks an answer as right
  std::filesystem::path recording;  // a person's recording of the text; empty: a voice speaks it
};

struct WeightedVoice {
  std::string name;
  double weight = 1;
};

struct Range {
  double min = 1, max = 1;
};

struct SynthesisRecipe {
  SynthesisKind kind = SynthesisKind::kCodes;
  std::filesystem::path output;  // without ending (codes, features) or a folder (audio)
  uint64_t seed = 1;
  std::vector<WeightedVoice> voices;
  Range rate, pitch;  // of VoiceSettings
  std::optional<AugmentationConfig> augmentation;
  std::filesystem::path noise;               // a TSV with the column path; empty: none
  std::filesystem::path tokenizer, whisper;  // weights
  bool cut_to_length = true;                 // features: as SoundTokenizerConfig
  int64_t tail_frames = 0;                   // features: as SoundTokenizerConfig
  std::vector<SynthesisRow> rows;            // in the order in which they are written
};

// Throws Error naming the place in the recipe or in a file that it names.
SynthesisRecipe read_synthesis_recipe(const std::filesystem::path& path);

}  // namespace ichigo
