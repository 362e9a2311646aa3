// The auxiliary head that reads phonemes off the sound tokenizer's bottleneck by CTC (Graves et al. 2006): a few layers
// of self-attention and depthwise convolution (in the manner of the Conformer, Gulati et al. 2020). It shapes the codes
// while they are trained and measures them afterwards; the tokenizer itself does not need it.
#pragma once
#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "data/phoneme_set.h"
#include "models/sound_tokenizer.h"

namespace ichigo {

struct CtcHeadConfig {
  int64_t input = 384;              // width of what it reads
  int64_t width = 256, layers = 3;  // heads of 64
  int64_t kernel = 9;               // of the depthwise convolutions, odd
  int64_t outputs = 40;             // phonemes and the blank, which is output 0
  double dropout = 0.1;
  bool quantize = true;   // trained on codes, not on unquantised projections
  void validate() const;  // throws Error
};

class CtcHead : public torch::nn::Module {
 public:
  // Parameters are uninitialised (load_ctc_head or initialize fills them).
  explicit CtcHead(const CtcHeadConfig& config);
  // Matrices and convolutions uniform in +-1 / sqrt(fan-in), norms one, biases zero.
  void initialize(uint64_t seed);
  const CtcHeadConfig& config() const { return config_; }
  // [batch, time, input] and mask [batch, time] (1 where there is sound, 0 in the padding), both of the type that
  // the layers are computed in -> float32 logits [batch, time, outputs].
  at::Tensor forward(const at::Tensor& embedded, const at::Tensor& mask);

 private:
  struct Layer;
  struct Ends;
  CtcHeadConfig config_;
  std::vector<std::shared_ptr<Layer>> layers_;
  std::shared_ptr<Ends> ends_;
};

// The sum over the batch of -log p(phonemes | logits) divided by the number of phonemes. Clips that are too short for
// their phonemes count as zero.
// logits float32 [batch, time, outputs], lengths of each clip in time and of its phonemes (one behind another).
at::Tensor phoneme_ctc_loss(const at::Tensor& logits, const at::Tensor& lengths, const at::Tensor& phonemes,
                            const at::Tensor& phoneme_lengths);
// Best output at each position of logits [time, outputs], repeats and blanks removed.
std::vector<int64_t> greedy_phonemes(const at::Tensor& logits);
// Positions that CTC needs at least: one each, and a blank between equal neighbours.
int64_t ctc_positions(std::span<const int64_t> phonemes);

// FOLDER/ctc_head.safetensors and ctc_head.json, which holds the configuration and "phones" (data/phoneme_set.h).
void save_ctc_head(const std::filesystem::path& folder, const CtcHead& head, const PhonemeSet& phonemes);
// Evaluation mode. Throws Error naming what is missing.
std::pair<std::shared_ptr<CtcHead>, PhonemeSet> load_ctc_head(const std::filesystem::path& folder);

// What `ichigo train` of a sound tokenizer with a CTC loss leaves in its folder.
struct TrainedSoundTokenizer {
  std::shared_ptr<Bottleneck> bottleneck;
  std::shared_ptr<CtcHead> head;
  PhonemeSet phonemes;
};
// Throws Error naming what is missing, or that the parts do not belong together.
TrainedSoundTokenizer load_trained_sound_tokenizer(const std::filesystem::path& folder);

}  // namespace ichigo
