// Sound codes while somebody speaks, for a tokenizer whose encoder has block-causal attention: a code is final when it
// comes, and the codes are the same whatever the chunks in which the samples arrive. Its cost is proportional to the
// length of what it hears.
//
// A block's codes come when the samples of its look-ahead are there and 0.0225 s more (a frame that the convolutions
// look ahead, and half a window of the transform). Whisper's positions last 30 s: then the encoder begins anew at
// position 0, and hears the last second again before it goes on.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "audio/log_mel.h"
#include "models/sound_tokenizer.h"

namespace ichigo {

// A copy goes its own way, at the cost of copying the encoder's cache: for a guess that speech has ended, finish() one.
class StreamingSoundTokenizer {
 public:
  // Shares the tokenizer's weights. Throws Error when its encoder hears whole clips only.
  explicit StreamingSoundTokenizer(const SoundTokenizer& tokenizer);

  // 16 kHz samples, any number of them -> the codes that they settle. Throws Error after finish().
  std::vector<int> accept(std::span<const float> samples);
  // The end of speech -> the codes that are left, all in all as many as SoundTokenizer::encode gives. Costs the
  // last block and those within whose look-ahead it lies.
  std::vector<int> finish();

 private:
  int64_t samples_needed() const;
  void keep(const at::Tensor& mel);
  at::Tensor encode_block(int64_t block, int64_t end);
  std::vector<int> next_codes(int64_t end);

  SoundTokenizer tokenizer_;
  StreamingLogMel log_mel_;
  float loudest_ = kLoudestLogPower;
  std::vector<float> waiting_;  // samples that are too few for the next block
  int64_t received_ = 0;        // samples
  at::Tensor mel_;              // [bands, frames], normalised, the first one being frame mel_begin_
  int64_t mel_begin_ = 0;
  int64_t block_ = 0;  // the next one
  EncoderCache cache_;
  bool finished_ = false;
};

}  // namespace ichigo
