// What runs a decoder forward, one sequence at a time: models/llama (tensors, any device, the reference) or
// models/packed_llama (the processor, weights in 16, 8 or 4 bits).
#pragma once
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "nn/cached_attention.h"
#include "nn/float_attention.h"

namespace ichigo {

// Keys and values of one sequence, for every layer, in the form of the model that fills it.
class KeyValueCache {
 public:
  int64_t length() const { return length_; }
  // Forgets everything from position `length` on.
  void truncate(int64_t length) { length_ = std::min(length_, length); }

 private:
  friend class Llama;
  friend class PackedLlama;
  std::vector<LayerCache> layers_;
  std::vector<FloatLayerCache> float_layers_;
  int64_t length_ = 0;
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  // ids int64 [time] behind cache.length() earlier ones -> hidden states [time, hidden_size] after the final norm; the
  // cache grows by `time`. In place of an id below 0 stands a row of `vectors` [count, hidden_size] (vector_id), where
  // others have their embedding. Throws Error when the context is full, and for an id that stands for nothing.
  virtual at::Tensor forward(const at::Tensor& ids, KeyValueCache& cache, const at::Tensor& vectors = {}) = 0;
  // hidden [..., hidden_size] -> float32 logits [..., vocab_size].
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;
};

}  // namespace ichigo
