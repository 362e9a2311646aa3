// An auxiliary loss that teaches a decoder to listen: a layer in its middle must spell, by CTC, what the speech before
// it said. Attention alone finds the way from sound to text only after long training on guesses; with CTC beside it,
// in the manner of hybrid recognisers (Watanabe et al. 2017), every position of the speech has something to learn.
// Only training has it: the finished model is an ordinary decoder.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/mixture.h"

namespace ichigo {

struct LetterLossConfig {
  double weight = 0;            // beside the loss of the text; 0: none
  int64_t layer = 10;           // whose output must spell, counted from 0
  std::filesystem::path start;  // the letter_loss.safetensors of the run that made the base; empty: random
};

class LetterLoss {
 public:
  // Parameters as `options` say: out of the file `start`, or small and random from the seed. Throws Error when the
  // file is not one of letters for this width.
  LetterLoss(int64_t width, at::TensorOptions options, uint64_t seed, const std::filesystem::path& start = {});
  std::vector<std::pair<std::string, at::Tensor>> parameters() const;
  // Writes the file that `start` reads; `masters`: the float32 values by name, among others.
  void save(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& masters) const;
  // hidden [total, width], the layer's output -> float32 scalar: the SUM of -log p(letters); zero without speech. Speech
  // too short for its letters counts as zero.
  at::Tensor loss(const at::Tensor& hidden, const std::vector<SpokenSpan>& spoken) const;

 private:
  at::Tensor weight_, bias_;
};

// How many letters the speech says, those that are too many for it included.
int64_t count_letters(const std::vector<SpokenSpan>& spoken);
// a to z are 1 to 26, the apostrophe 27, a space 28 (one between words, none at the ends); all else is left out.
std::vector<int64_t> letters_of(const std::string& text);

}  // namespace ichigo
