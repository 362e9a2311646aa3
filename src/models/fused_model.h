// The fused model on disk: a Hugging Face Llama directory whose vocabulary holds sound tokens, with the parts of its
// ear beside it, named by ichigo.json: {"sound_tokenizer": "sound_tokenizer.safetensors", "whisper":
// "whisper.safetensors"}, and "adapter": "adapter.safetensors" where it hears vectors in place of codes: those of the
// frames that its sound tokenizer makes codes of.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "models/packed_llama.h"
#include "models/sound_tokenizer.h"
#include "models/speech_adapter.h"
#include "text/chat_prompt.h"
#include "weights/model_directory.h"
#include "weights/tensor_to_write.h"

namespace ichigo {

// How parameters are stored: blocks for matrices and for the embedding, or bfloat16 where empty.
struct StorageTypes {
  std::optional<BlockType> matrices, embedding, ear;
};

// Everything of a language model but its weights, ready to be written elsewhere.
struct LanguageModelFiles {
  nlohmann::json config;
  const BytePairTokenizer& tokenizer;
  std::string chat_template;
  std::vector<int64_t> stop_tokens;
};
// Those of `model` with this configuration, which keeps the ids of its special tokens.
LanguageModelFiles files_of(const ModelDirectory& model, const LlamaConfig& config);

// Writes config.json, generation_config.json, tokenizer.json, tokenizer_config.json and the weights (under Hugging
// Face's names, stored as `types` say) in files of at most `shard_bytes`.
void write_language_model(const std::filesystem::path& folder, const LanguageModelFiles& files,
                          std::vector<TensorToWrite> weights, const StorageTypes& types, int64_t shard_bytes);

// The new vocabulary's embedding [vocab_size, hidden_size]: the old rows, then rows with the old ones' mean and
// spread. With a codebook [codes, dim] the rows of codes that sound alike begin alike: they are one random projection
// of their code vectors. `first_code` is the row of code 0.
at::Tensor extend_embedding(const at::Tensor& old_rows, int64_t vocab_size, int64_t first_code,
                            const at::Tensor& codebook, uint64_t seed);

// Speech as the decoder is given it: the codes of UserTurn::sound, and the vectors that those below 0 stand for
// [count, hidden_size]; none where speech is heard as sound codes.
struct HeardSpeech {
  std::vector<int> sound;
  at::Tensor vectors;
};

// A language model that hears: what `ichigo ask` runs.
struct FusedModel {
  LlamaConfig config;
  std::unique_ptr<LanguageModel> decoder;
  std::unique_ptr<BytePairTokenizer> tokenizer;
  std::string chat_template;  // Jinja source, empty when there is none
  std::vector<int64_t> stop_tokens;
  std::optional<SoundTokenizer> sound_tokenizer;  // none: a text model
  std::optional<SpeechAdapter> adapter;           // hears vectors in place of the tokenizer's codes

  // 16 kHz samples, with an ear. The time that the log-mel took is added to *mel_milliseconds.
  HeardSpeech hear(std::span<const float> samples, double* mel_milliseconds = nullptr) const;
};

// Where the parts of an ear lie: a sound tokenizer as load_bottleneck reads it, and a Whisper as load_whisper does; for
// a model that hears vectors also its adapter.
struct EarFiles {
  std::filesystem::path sound_tokenizer, whisper, adapter;
  bool empty() const { return sound_tokenizer.empty() && whisper.empty(); }
};
// Those that ichigo.json names, in the model's folder or beside its GGUF file; empty when there is none. Throws Error
// when it names no parts.
EarFiles find_ear(const std::filesystem::path& model);
// Writes the parts (the tokenizer without what only Whisper's decoder needs; the encoder in `dtype`, its matrices in
// blocks where `matrices` says so) and the ichigo.json that names them.
void write_ear(const std::filesystem::path& folder, const SoundTokenizer& ear, at::ScalarType dtype,
               std::optional<BlockType> matrices, const SpeechAdapter* adapter = nullptr);

// `model`: a folder or a GGUF file. Without an ear it is a text model. Throws Error that names the part that is missing
// or does not belong.
FusedModel load_fused_model(const std::filesystem::path& model, const PackedTypes& types, const EarFiles& ear);

// An ear alone, for inference on the processor. One that hears whole clips computes in float32, as training data is
// tokenised; one that hears block by block in bfloat16, which changes less than 1 % of the codes.
// Throws Error when a part is missing or they do not belong together.
SoundTokenizer load_ear(const EarFiles& ear);

}  // namespace ichigo
