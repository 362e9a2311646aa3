// Batches of clips out of feature files: clips of like length together, in an order that a seed decides.
// Not here: reading the files (data/feature_file).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "data/feature_file.h"
#include "data/phoneme_set.h"

namespace ichigo {

struct Clip {
  const FeatureFile* file = nullptr;
  const FeatureClip* source = nullptr;
  int64_t length = 0;  // in positions of 25 Hz
  std::vector<int64_t> phonemes;
};

struct ClipBatch {
  std::vector<const Clip*> clips;
  at::Tensor features;         // float32 [batch, time, width]: pairs of frames averaged, zero behind each clip's end
  at::Tensor mask;             // float32 [batch, time]: 1 within the clip
  at::Tensor lengths;          // int64 [batch]
  at::Tensor phonemes;         // int64, one clip's behind another's
  at::Tensor phoneme_lengths;  // int64 [batch]
};

inline constexpr int64_t kFramesPerPosition = 2;     // of the encoder's output: 50 Hz -> 25 Hz
inline constexpr int64_t kMelFramesPerPosition = 4;  // of log mel power

// The clips of all files that have phonemes which fit into their length, and at most `longest` positions (0: any
// number), in the order of the files. `left_out` counts the others. Phones that are not in the set are left out of
// their clip.
std::vector<Clip> usable_clips(const std::vector<FeatureFile>& files, const PhonemeSet& phonemes, int64_t longest,
                               int64_t* left_out, int64_t frames_per_position = kFramesPerPosition);
// Encoder output [at least 2 x length, width] -> float32 [length, width], pairs of frames averaged.
at::Tensor pool_frames(const at::Tensor& frames, int64_t length);
// What the encoder gave for the clip, at its own 50 Hz: float32 [2 x length, width].
at::Tensor encoder_frames(const Clip& clip);
// [length, width] float32: the same averaged over pairs of frames.
at::Tensor pooled_features(const Clip& clip);
// `pooled`: what gives a clip's features, [length, width].
ClipBatch make_batch(const std::vector<const Clip*>& clips,
                     const std::function<at::Tensor(const Clip&)>& pooled = pooled_features);

// An endless sequence of batches; each epoch has every clip once.
class ClipSampler {
 public:
  // `positions`: the most that a batch may hold, padding included; one longer clip makes a batch of its own.
  ClipSampler(const std::vector<Clip>& clips, int64_t positions, uint64_t seed);
  std::vector<const Clip*> next();

  int64_t epoch() const { return epoch_; }
  int64_t position() const { return position_; }  // batches of the epoch that are done
  void seek(int64_t epoch, int64_t position);

 private:
  void plan();
  const std::vector<Clip>& clips_;
  int64_t positions_;
  uint64_t seed_;
  int64_t epoch_ = 0, position_ = 0;
  std::vector<std::vector<const Clip*>> batches_;
};

}  // namespace ichigo
