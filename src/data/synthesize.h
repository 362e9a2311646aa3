// Speech data: text -> many voices -> augmentation -> sound codes, encoder features or audio files.
// Every row depends only on the recipe's seed and its own number, so the result is the same for any number of threads
// and for any number of kills in between.
#pragma once
#include <cstdint>
#include <filesystem>

namespace ichigo {

struct SynthesizeOptions {
  int threads = 0;    // 0: two for each core
  int64_t limit = 0;  // stop after so many more rows, resumable; 0: to the end
  // Of codes and text: only the rows of this part, into a file of its own (shard_path), so that several processes or
  // machines share the work. The parts together are the rows that one process would have made.
  int64_t shard = 0, shards = 1;
};

struct SynthesizeResult {
  int64_t rows = 0, total = 0;  // written in all, wanted in all
  double seconds = 0;           // of speech made by this call
  std::filesystem::path output;
};

// Goes on where an earlier run of the same recipe stopped; stops early, resumable, when interrupted() becomes true.
// Throws Error: a recipe or a file it names is wrong, the output belongs to another recipe, a voice fails, a full disk.
SynthesizeResult synthesize(const std::filesystem::path& recipe, const SynthesizeOptions& options = {});

}  // namespace ichigo
