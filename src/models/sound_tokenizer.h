// WhisperVQ: a Whisper encoder, pooled to 25 Hz and quantised by cosine similarity to a codebook
// (WhisperSpeech vq_stoks.py; Ichigo arXiv 2410.15316, section 3.1). Speech in, sound codes out.
#pragma once
#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "models/whisper.h"
#include "weights/safetensors.h"

namespace ichigo {

struct SoundTokenizerConfig {
  int64_t codes = 512;  // without the mask code, whose index is `codes` (published) or `mask_code`
  int64_t mask_code = 512;
  int64_t codebook_rows = 513;
  int64_t codebook_dim = 64;
  int64_t width = 384;  // of the Whisper encoder
  int64_t n_head = 6, head_width = 64, ffn_mult = 4;
  int64_t depth = 1;  // output blocks; 0: without what only dequantize needs (positions, blocks, final norm)
  int64_t downsample = 2;
  bool downsample_mean = true, downsample_conv = false, mask_embs = true, rope = true;
  double query_mult = 2, output_mult = 1;
  std::string whisper_model_name = "tiny.en";
  // false (published): the mel is padded to 30 s with -1.5. true: the clip is encoded at its real length plus a tail.
  bool cut_to_length = false;
  int64_t tail_frames = 0;  // mel frames of -1.5 behind a clip that is cut to its length
  void validate() const;    // throws Error
  nlohmann::json to_json() const;
  // All keys of to_json, each with the default above. Throws Error naming a value of the wrong type.
  static SoundTokenizerConfig from_json(const nlohmann::json& json);
};

// Everything behind the Whisper encoder. Parameter names are the published ones (rq.project_in.weight,
// mlp.0.weight...).
class Bottleneck : public torch::nn::Module {
 public:
  // Parameters are uninitialised (load_bottleneck or initialize fills them).
  explicit Bottleneck(const SoundTokenizerConfig& config);
  // As WhisperSpeech begins: truncated normal of 1.5 / fan-in (embedding 0.045), queries zero, codes random unit
  // vectors.
  void initialize(uint64_t seed);
  const SoundTokenizerConfig& config() const { return config_; }
  // Encoder output [batch, frames, width] -> pooled, residual MLP: [batch, frames / downsample, width].
  at::Tensor pool(const at::Tensor& features);
  // Pooled encoder output [batch, time, width] -> x + mlp(mlp_ln(x)), same shape (pool() without the pooling).
  at::Tensor transform(const at::Tensor& pooled);
  // -> project_in and L2 norm: [batch, time, codebook_dim].
  at::Tensor project(const at::Tensor& transformed);
  // Unit vectors -> nearest code, int64 [batch, time] (first of equals, all rows are candidates).
  at::Tensor quantize(const at::Tensor& projected);
  // Codes -> project_out(codebook row): [batch, time, width].
  at::Tensor embed(const at::Tensor& codes);
  // Features for Whisper's decoder: [batch, frames, width] at the encoder's rate (frames <= 1500) + positions, output
  // blocks, final norm, same shape. Throws Error when depth is 0.
  at::Tensor output(const at::Tensor& embedded);
  // Codes int64 [time] -> features for Whisper's decoder [1, 1500, width] (padded with the mask code, repeated,
  // positions added, output blocks, final norm).
  at::Tensor dequantize(const at::Tensor& codes);
  at::Tensor& codebook();  // float32 [codebook_rows, codebook_dim], a buffer

 private:
  friend class SoundTokenizerTrainer;
  struct Impl;
  SoundTokenizerConfig config_;
  std::shared_ptr<Impl> impl_;
};

// WhisperSpeech .model/.pt/.pth (both rq key spellings, Lightning prefixes), our safetensors with the configuration in
// its metadata "ichigo.sound_tokenizer", or a folder with sound_tokenizer.safetensors. Parameters become `dtype`, but
// projections and codebook stay float32. Evaluation mode, trainable. Throws Error: the file, a missing or bad tensor.
std::shared_ptr<Bottleneck> load_bottleneck(const std::filesystem::path& path, at::ScalarType dtype = at::kFloat);
// Writes our safetensors: the bottleneck's tensors in float32, then `extra` ones, which load_bottleneck ignores.
void save_bottleneck(const std::filesystem::path& path, const Bottleneck& bottleneck,
                     const std::vector<TensorToWrite>& extra = {});

class SoundTokenizer {
 public:
  // `bottleneck_path` as load_bottleneck, `whisper_path` as load_whisper.
  static SoundTokenizer load(const std::filesystem::path& bottleneck_path, const std::filesystem::path& whisper_path,
                             at::ScalarType dtype = at::kFloat);
  SoundTokenizer(std::shared_ptr<WhisperEncoder> encoder, std::shared_ptr<Bottleneck> bottleneck);

  // 16 kHz samples -> sound codes, floor(floor(samples / 160) / 2 / 2) of them (750 always for old files without
  // mask_embs). Audio beyond 30 s is split at the quietest point near 29 s, never dropped; an encoder with block-causal
  // attention hears it as StreamingSoundTokenizer does. The time that the log-mel took is added to *mel_milliseconds
  // (with such an encoder it is part of the rest). *pooled, if asked for, becomes what each code is made of: the
  // encoder's output, the mean of `downsample` frames, [codes, width]. Throws Error when it is asked for and the
  // encoder's attention is block-causal.
  std::vector<int> encode(std::span<const float> samples, double* mel_milliseconds = nullptr,
                          at::Tensor* pooled = nullptr) const;
  // The log-mel that the encoder is used to, [bands, samples / 160].
  at::Tensor mel(std::span<const float> samples) const;
  // To how many frames a log-mel of up to 30 s is padded with -1.5: 30 s or, when cut to length, by the tail and to a
  // multiple of 4.
  int64_t padded_frames(int64_t frames) const;
  // log-mel [bands, frames] of up to 30 s -> the encoder's output for all of it, padded [1, padded frames / 2, width].
  at::Tensor features(const at::Tensor& mel) const;
  const SoundTokenizerConfig& config() const { return bottleneck_->config(); }
  bool streaming() const { return encoder_->config().blocks.any(); }
  WhisperEncoder& encoder() const { return *encoder_; }
  Bottleneck& bottleneck() const { return *bottleneck_; }

 private:
  std::shared_ptr<WhisperEncoder> encoder_;
  std::shared_ptr<Bottleneck> bottleneck_;
};

// The pieces in which Whisper's 30 s window hears `samples`: all of it, or what kHearingPauses makes of longer audio.
std::vector<std::span<const float>> hearing_windows(std::span<const float> samples);

}  // namespace ichigo
