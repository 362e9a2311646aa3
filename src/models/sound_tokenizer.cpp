// Speech to sound codes: log-mel, Whisper's encoder, bottleneck (WhisperSpeech vq_stoks.py, encode_mel).
#include "models/sound_tokenizer.h"

#include <ATen/ATen.h>

#include "audio/audio_file.h"
#include "audio/log_mel.h"
#include "audio/pauses.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "models/streaming_sound_tokenizer.h"

namespace ichigo {

namespace {

constexpr size_t kWindowSamples = kWindowFrames * kHop;

}  // namespace

SoundTokenizer::SoundTokenizer(std::shared_ptr<WhisperEncoder> encoder, std::shared_ptr<Bottleneck> bottleneck)
    : encoder_(std::move(encoder)), bottleneck_(std::move(bottleneck)) {
  require(encoder_->config().n_audio_state == config().width, "the sound tokenizer is for a Whisper encoder ",
          config().width, " wide (", config().whisper_model_name, "), this one is ", encoder_->config().n_audio_state);
  require(encoder_->config().n_audio_ctx * 2 == kWindowFrames, "the Whisper encoder has ",
          encoder_->config().n_audio_ctx, " positions, expected ", kWindowFrames / 2);
  require(!streaming() || (config().cut_to_length && config().mask_embs),
          "a Whisper encoder with block-causal attention needs a sound tokenizer that cuts clips to their length");
  require(encoder_->config().blocks.frames % config().downsample == 0, "the Whisper encoder's blocks of ",
          encoder_->config().blocks.frames, " frames are no multiple of the sound tokenizer's downsample ",
          config().downsample);
}

SoundTokenizer SoundTokenizer::load(const std::filesystem::path& bottleneck_path,
                                    const std::filesystem::path& whisper_path, at::ScalarType dtype) {
  return {load_whisper(whisper_path, dtype, /*with_decoder=*/false).encoder, load_bottleneck(bottleneck_path, dtype)};
}

at::Tensor SoundTokenizer::mel(std::span<const float> samples) const {
  const auto bands = static_cast<int>(encoder_->config().n_mels);
  if (!streaming()) return log_mel(samples, bands);
  StreamingLogMel stream(bands);
  stream.accept(samples);
  stream.finish();
  float loudest = kLoudestLogPower;
  return StreamingLogMel::normalize_so_far(stream.take(), loudest);
}

int64_t SoundTokenizer::padded_frames(int64_t frames) const {
  if (!config().cut_to_length) return kWindowFrames;
  return std::max<int64_t>(4, (frames + config().tail_frames + 3) / 4 * 4);
}

at::Tensor SoundTokenizer::features(const at::Tensor& mel) const {
  require(mel.dim() == 2, "sound tokenizer: log-mel has shape ", mel.sizes(), ", expected [bands, frames]");
  const int64_t frames = mel.size(1);
  require(frames <= kWindowFrames, "sound tokenizer: ", frames, " mel frames in one window, expected at most ",
          kWindowFrames);
  const int64_t padded = std::min<int64_t>(padded_frames(frames), kWindowFrames);
  return encoder_->forward(at::constant_pad_nd(mel, {0, padded - frames}, kSilentLogMel).unsqueeze(0));
}

std::vector<int> SoundTokenizer::encode(std::span<const float> samples, double* mel_milliseconds,
                                        at::Tensor* pooled) const {
  const at::NoGradGuard no_grad;
  std::vector<int> codes;
  std::vector<at::Tensor> means = {at::empty({0, config().width})};
  if (streaming()) {
    require(pooled == nullptr, "features of speech are those of whole clips: this Whisper encoder hears in blocks");
    StreamingSoundTokenizer stream(*this);
    codes = stream.accept(samples);
    const std::vector<int> rest = stream.finish();
    codes.insert(codes.end(), rest.begin(), rest.end());
    return codes;
  }
  for (const auto window : hearing_windows(samples)) {
    Stopwatch watch;
    const at::Tensor frames = mel(window);
    if (mel_milliseconds != nullptr) *mel_milliseconds += watch.lap();
    const int64_t count = frames.size(1) / 2 / config().downsample;
    if (config().mask_embs && count == 0) continue;
    const at::Tensor heard = features(frames);
    at::Tensor piece = bottleneck_->quantize(bottleneck_->project(bottleneck_->pool(heard))).view(-1);
    if (config().mask_embs) piece = piece.narrow(0, 0, count);
    const auto* data = piece.const_data_ptr<int64_t>();
    codes.insert(codes.end(), data, data + piece.numel());
    if (pooled == nullptr) continue;
    const at::Tensor of_codes = heard[0].narrow(0, 0, piece.numel() * config().downsample);
    means.push_back(of_codes.view({piece.numel(), config().downsample, config().width}).mean(1));
  }
  if (pooled != nullptr) *pooled = at::cat(means);
  return codes;
}

std::vector<std::span<const float>> hearing_windows(std::span<const float> samples) {
  if (samples.size() <= kWindowSamples) return {samples};
  return pieces_at_pauses(samples, kHearingPauses);
}

}  // namespace ichigo
