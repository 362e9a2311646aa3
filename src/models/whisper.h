// Whisper's encoder and decoder (openai-whisper model.py), one definition for training and inference.
// Not here: the log-mel (audio/log_mel) and decoding by token rules (models/whisper_decoding).
#pragma once
#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "weights/block_quantization.h"
#include "nn/packed_matrix.h"
#include "weights/weight_file.h"

namespace ichigo {

// Block-causal attention of an encoder that was trained to hear while somebody speaks, in its frames of 20 ms. A block
// of `frames` sees itself, the `look_ahead` frames behind it and the `context` blocks before it; what it makes of the
// frames behind it no other block sees. The published encoders have none: every frame sees the whole clip.
struct EncoderBlocks {
  int64_t frames = 0, look_ahead = 0, context = 0;
  bool any() const { return frames > 0; }
};

// What conversations hear with: blocks of 0.32 s that see 0.64 s ahead and 8 s back. With Whisper tiny.en's published
// weights 79 % of the sound codes are those of the whole clip, and the default model makes 2 % more word errors.
inline constexpr EncoderBlocks kLiveBlocks{16, 32, 25};

struct WhisperConfig {
  int64_t n_mels = 80, n_vocab = 51864;
  int64_t n_audio_ctx = 1500, n_audio_state = 384, n_audio_head = 6, n_audio_layer = 4;
  int64_t n_text_ctx = 448, n_text_state = 384, n_text_head = 6, n_text_layer = 4;
  EncoderBlocks blocks;
  bool multilingual() const { return n_vocab >= 51865; }
  void validate() const;  // throws Error
};

// Keys and values of the blocks that an encoder with block-causal attention has heard. Copies are independent.
struct EncoderCache {
  EncoderCache() = default;
  EncoderCache(const EncoderCache& other);
  EncoderCache(EncoderCache&&) = default;
  EncoderCache& operator=(EncoderCache other);
  std::vector<at::Tensor> keys, values;  // per layer [1, heads, n_audio_ctx, head_dim]
  int64_t length = 0;                    // frames heard, which also is the next one's position
};

class WhisperEncoder : public torch::nn::Module {
 public:
  explicit WhisperEncoder(const WhisperConfig& config);
  // log-mel [batch, n_mels, frames] (frames even, at most 2 * n_audio_ctx) -> [batch, frames / 2, n_audio_state].
  // Published use pads to 3000 frames; a shorter clip is encoded at its real length. The first frame stands at
  // `position` (0 where it is used, others in training).
  at::Tensor forward(const at::Tensor& mel, int64_t position = 0);
  // Block by block the same as forward, for an encoder with block-causal attention. `convolved`: of convolve, a block's
  // frames and those of its look-ahead [1, at most frames + look_ahead, n_audio_state]; fewer only at the clip's end.
  // -> the block's own frames [1, at most frames, n_audio_state]. Throws Error when the positions are used up.
  at::Tensor forward_block(const at::Tensor& convolved, EncoderCache& cache);
  // The convolutions alone: [batch, n_mels, frames] -> [batch, (frames + 1) / 2, n_audio_state]. Frame i hears the mel
  // frames 2i - 2 to 2i + 2.
  at::Tensor convolve(const at::Tensor& mel);
  // From now on with block-causal attention. Throws Error when the blocks do not fit the encoder's positions.
  void hear_in_blocks(const EncoderBlocks& blocks);
  const WhisperConfig& config() const { return config_; }

 private:
  struct Impl;
  WhisperConfig config_;
  std::shared_ptr<Impl> impl_;
};

// Keys and values of a decoder while it writes: self-attention grows, cross-attention is computed once.
struct WhisperCache {
  std::vector<at::Tensor> self_keys, self_values;    // per layer [batch, heads, length, head_dim]
  std::vector<at::Tensor> cross_keys, cross_values;  // per layer [batch, heads, features, head_dim]
  int64_t length = 0;
};

class WhisperDecoder : public torch::nn::Module {
 public:
  explicit WhisperDecoder(const WhisperConfig& config);
  // tokens int64 [batch, time] after cache->length earlier ones, features [batch, frames, n_audio_state]
  // -> logits float32 [batch, time, n_vocab]. Without a cache all tokens are given at once.
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& features, WhisperCache* cache = nullptr);
  // The two halves of forward: states after the final norm [batch, time, n_text_state], then logits of any of them.
  at::Tensor hidden(const at::Tensor& tokens, const at::Tensor& features, WhisperCache* cache = nullptr);
  at::Tensor logits(const at::Tensor& hidden);

 private:
  struct Impl;
  WhisperConfig config_;
  std::shared_ptr<Impl> impl_;
};

struct Whisper {
  WhisperConfig config;
  std::shared_ptr<WhisperEncoder> encoder;
  std::shared_ptr<WhisperDecoder> decoder;  // null when only the encoder was asked for or is in the file
};

// Loads openai-whisper .pt (with or without decoder), a Hugging Face folder or safetensors, or a CTranslate2 folder,
// whose shapes give the configuration; parameters are converted to `dtype`, evaluation mode, no gradients.
Whisper load_whisper(const std::filesystem::path& path, at::ScalarType dtype = at::kFloat, bool with_decoder = true);

// From now on for inference on the processor: the encoder's products are those of nn/packed_matrix in `type`, which are
// faster than libtorch's for few frames. It cannot be trained or saved any more.
void pack_for_inference(WhisperEncoder& encoder, MatrixType type);

// Writes an encoder as safetensors under openai-whisper's names, without the sinusoids of its positions: matrices in
// blocks where `matrices` says so, the rest in `dtype`. The metadata "ichigo.encoder_blocks" tells its block-causal
// attention, if any, to load_whisper.
void save_encoder(const std::filesystem::path& path, const WhisperEncoder& encoder, at::ScalarType dtype,
                  std::optional<BlockType> matrices = {});

}  // namespace ichigo
