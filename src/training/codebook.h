// The codebook of a vector quantiser while it is trained: spherical k-means start, exponential moving averages of the
// vectors assigned to each code (van den Oord et al. 2017, appendix A.1; cosine form of Yu et al. 2022, section 3.2),
// revival of dead codes. Not here: the straight-through gradient and the commitment loss (sound_tokenizer_trainer).
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "base/random.h"

namespace ichigo {

struct CodebookConfig {
  double decay = 0.99;       // of the moving averages
  double dead_share = 0.03;  // a code used less than this share of the uniform rate is dead...
  double start_share = 0.3;  // ...and begins again at a random vector with this share
  int kmeans_iterations = 15;
  void validate() const;  // throws Error
};

class Codebook {
 public:
  // `vectors` float32 [codes, dim], contiguous, is written in place: the model's own buffer.
  Codebook(at::Tensor vectors, const CodebookConfig& config);

  // Spherical k-means over unit vectors float32 [count, dim], count >= codes. Throws Error when there are fewer.
  void start(const at::Tensor& vectors, Random random);
  bool started() const { return started_; }
  // Unit vectors float32 [count, dim] -> int64 [count], the code of the largest cosine (first of equals).
  at::Tensor assign(const at::Tensor& vectors) const;
  // Moves the averages towards the vectors and their codes, then replaces dead codes by random ones of the vectors.
  // Returns how many were replaced.
  int64_t update(const at::Tensor& vectors, const at::Tensor& codes, Random random);
  // exp(entropy) of the averaged use of the codes.
  double perplexity() const;

  std::map<std::string, at::Tensor> state() const;
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  at::Tensor vectors_, shares_, sums_;  // [codes, dim], [codes], [codes, dim]
  CodebookConfig config_;
  bool started_ = false;
};

// exp(entropy) of non-negative counts float [codes].
double perplexity_of(const at::Tensor& counts);

}  // namespace ichigo
