// The rival of sound codes: speech as continuous vectors, a Whisper encoder's features behind one linear layer, as
// Qwen2-Audio hears (arXiv 2407.10759, section 2). There are as many of them as there would be codes, 25 a second, and
// they stand where those would stand.
// Not here: the features, which are what a sound tokenizer's quantiser is given (SoundTokenizer::encode).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ichigo {

struct SpeechAdapter {
  static constexpr const char* kWeight = "proj.weight";
  static constexpr const char* kBias = "proj.bias";
  at::Tensor weight, bias;  // [hidden_size, width], [hidden_size]

  // Random from the seed, in float32: features of unit spread become vectors with the mean and the spread of the rows
  // of `embedding` [vocab_size, hidden_size].
  static SpeechAdapter random(int64_t width, const at::Tensor& embedding, uint64_t seed);
  // Out of a file that save() wrote, in float32. Throws Error when it is not one for features of this width and
  // embeddings of this size.
  static SpeechAdapter load(const std::filesystem::path& path, int64_t width, int64_t hidden_size);
  void save(const std::filesystem::path& path) const;

  // The same with parameters of this type on this device, to be trained apart from these.
  SpeechAdapter to(const at::TensorOptions& options) const;
  // Features [count, width] -> vectors [count, hidden_size], in the parameters' type and with their gradient.
  at::Tensor forward(const at::Tensor& features) const;
  std::vector<std::pair<std::string, at::Tensor>> parameters() const { return {{kWeight, weight}, {kBias, bias}}; }
};

}  // namespace ichigo
