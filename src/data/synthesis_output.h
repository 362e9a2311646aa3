// The three things that `ichigo synthesize` writes, row by row in order, so that a run killed at any moment goes on
// behind the last whole row: a token file (with the features of its codes, if asked for), a feature file, or FLAC files
// with a list.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/synthesis_recipe.h"

namespace ichigo {

// A row that was spoken.
struct SpokenRow {
  const SynthesisRow* row = nullptr;
  std::string voice;  // or "recording:PATH"
  double seconds = 0;                    // of all turns
  std::vector<std::vector<int>> sound;   // codes: of each turn, the row's own last; empty: typed
  at::Tensor features;                   // features, mel, codes with features: bfloat16 [frames, width]
  std::vector<std::string> phonemes;  // features, mel
};

class SynthesisOutput {
 public:
  virtual ~SynthesisOutput() = default;
  // Rows that are there already; what a kill left half-written behind them is gone.
  virtual int64_t rows() const = 0;
  // Appends row number rows(). Throws Error (a full disk, say); the rows before stay whole.
  virtual void write(const SpokenRow& row) = 0;
  // Brings everything to the disk.
  virtual void sync() = 0;
};

// OUTPUT.jsonl (alone or with OUTPUT.features), or OUTPUT/list.tsv. `width`: of the features, or the mel's bands.
// `first`: the index of a token file's first row. Throws Error when the list is damaged or another process writes it.
std::unique_ptr<SynthesisOutput> open_synthesis_output(const SynthesisRecipe& recipe, int64_t width,
                                                       int64_t first = 0);

// OUTPUT/audio/000017.flac, and of the turns before it OUTPUT/audio/000017_1.flac (right before), 000017_2.flac...
std::filesystem::path synthesis_audio_path(const std::filesystem::path& output, int64_t index, size_t before = 0);

}  // namespace ichigo
