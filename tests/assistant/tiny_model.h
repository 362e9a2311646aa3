// A complete fused model with random weights, small enough for a test: the golden tokenizer (Llama 3 template, Ichigo's
// sound tokens), two decoder layers, a one-layer Whisper encoder and its sound tokenizer.
#pragma once
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <filesystem>
#include <string>

#include "base/atomic_file.h"
#include "base/random.h"
#include "models/fused_model.h"
#include "weights/safetensors.h"

namespace ichigo::test {

struct TinyModelOptions {
  bool with_ear = true;
  int64_t context = 2048;
  EncoderBlocks blocks = {};  // of the ear, for one that hears while somebody speaks
  bool adapter = false;       // hears vectors in place of codes
};

template <typename Module>
void fill_randomly(Module& module, at::Generator& generator, double spread) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) parameter.normal_(0, spread, generator);
}

// `tokenizer`: the golden tokenizer.json.
inline void write_tiny_model(const std::filesystem::path& folder, const std::filesystem::path& tokenizer,
                             const TinyModelOptions& options = {}) {
  const auto vocabulary = BytePairTokenizer::from_file(tokenizer);
  LlamaConfig config;
  config.hidden_size = 64;
  config.intermediate_size = 96;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 16;
  config.vocab_size = vocabulary.vocabulary_size();
  config.max_position_embeddings = options.context;
  config.tie_word_embeddings = false;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{4});
  Llama model(config);
  fill_randomly(model, generator, 0.3);
  const std::string chat_template = "{{ '<|start_header_id|>' }}";
  std::vector<TensorToWrite> weights;
  for (const auto& [name, parameter] : model.hugging_face_parameters()) weights.push_back({name, parameter.detach()});
  write_language_model(folder, {config.to_json(), vocabulary, chat_template, {vocabulary.id_of("<|eot_id|>")}}, weights,
                       {}, int64_t{1} << 30);
  if (!options.with_ear) return;

  WhisperConfig whisper;
  whisper.n_audio_state = 64;
  whisper.n_audio_head = 1;
  whisper.n_audio_layer = 1;
  whisper.blocks = options.blocks;
  auto encoder = std::make_shared<WhisperEncoder>(whisper);
  fill_randomly(*encoder, generator, 0.2);

  SoundTokenizerConfig sound;
  sound.codebook_dim = 8;
  sound.width = 64;
  sound.n_head = 1;
  sound.depth = 0;
  sound.cut_to_length = true;
  auto bottleneck = std::make_shared<Bottleneck>(sound);
  bottleneck->initialize(5);
  const auto adapter = SpeechAdapter::random(sound.width, model.embedding().detach(), 6);
  write_ear(folder, SoundTokenizer(encoder, bottleneck), at::kFloat, {}, options.adapter ? &adapter : nullptr);
}

// 16 kHz noise with a melody in it.
inline std::vector<float> tiny_speech(double seconds, uint64_t seed = 1) {
  Random random(seed);
  std::vector<float> samples(static_cast<size_t>(seconds * 16000));
  for (size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / 16000;
    samples[i] =
        static_cast<float>(0.3 * std::sin(2 * 3.14159 * (200 + 300 * std::floor(4 * t)) * t) + 0.05 * random.normal());
  }
  return samples;
}

}  // namespace ichigo::test
