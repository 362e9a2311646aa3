#include "models/streaming_sound_tokenizer.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr int64_t kHalfWindow = 200;     // samples that a frame of the log-mel needs behind its centre
constexpr double kHeardAgain = 1;        // seconds before the place where the encoder begins anew
constexpr double kEncoderFrames = 50;    // a second

int64_t blocks_heard_again(const EncoderBlocks& blocks) {
  return std::max<int64_t>(1, std::lround(kHeardAgain * kEncoderFrames / static_cast<double>(blocks.frames)));
}

}  // namespace

StreamingSoundTokenizer::StreamingSoundTokenizer(const SoundTokenizer& tokenizer)
    : tokenizer_(tokenizer),
      log_mel_(static_cast<int>(tokenizer.encoder().config().n_mels)),
      mel_(at::empty({tokenizer.encoder().config().n_mels, 0})) {
  require(tokenizer.streaming(), "this sound tokenizer hears whole clips only: its Whisper encoder has no blocks");
}

// What the next block and its look-ahead hear, down to the last frame of the log-mel. The log-mel is taken in just these
// portions, so that its arithmetic does not depend on the chunks.
int64_t StreamingSoundTokenizer::samples_needed() const {
  const EncoderBlocks& blocks = tokenizer_.encoder().config().blocks;
  return (block_ * blocks.frames + blocks.frames + blocks.look_ahead) * 2 * kHop + kHalfWindow;
}

std::vector<int> StreamingSoundTokenizer::accept(std::span<const float> samples) {
  require(!finished_, "streaming sound tokenizer: samples after the end of speech");
  const at::NoGradGuard no_grad;
  std::vector<int> codes;
  while (!samples.empty()) {
    const int64_t needed = samples_needed() - received_;
    const auto taken = samples.first(std::min<size_t>(samples.size(), static_cast<size_t>(needed)));
    waiting_.insert(waiting_.end(), taken.begin(), taken.end());
    received_ += static_cast<int64_t>(taken.size());
    samples = samples.subspan(taken.size());
    if (received_ < samples_needed()) break;
    log_mel_.accept(waiting_);
    waiting_.clear();
    keep(StreamingLogMel::normalize_so_far(log_mel_.take(), loudest_));
    const auto settled = next_codes(mel_begin_ + mel_.size(1));
    codes.insert(codes.end(), settled.begin(), settled.end());
  }
  return codes;
}

std::vector<int> StreamingSoundTokenizer::finish() {
  require(!finished_, "streaming sound tokenizer: the speech has ended before");
  finished_ = true;
  const at::NoGradGuard no_grad;
  const int64_t frames = received_ / kHop;
  const SoundTokenizerConfig& config = tokenizer_.config();
  const int64_t count = frames / 2 / config.downsample;
  const int64_t per_block = tokenizer_.encoder().config().blocks.frames / config.downsample;
  std::vector<int> codes;
  if (count <= block_ * per_block) return codes;
  log_mel_.accept(waiting_);
  log_mel_.finish();
  keep(StreamingLogMel::normalize_so_far(log_mel_.take(), loudest_));
  const int64_t padded = tokenizer_.padded_frames(frames);
  keep(at::full({mel_.size(0), padded - frames}, kSilentLogMel));
  while (block_ * per_block < count) {
    const int64_t wanted = count - block_ * per_block;
    const auto settled = next_codes(padded);
    codes.insert(codes.end(), settled.begin(),
                 settled.begin() + std::min(wanted, static_cast<int64_t>(settled.size())));
  }
  return codes;
}

void StreamingSoundTokenizer::keep(const at::Tensor& mel) {
  mel_ = at::cat({mel_, mel}, 1);
}

// `end`: frames of the log-mel that there are. Each block convolves the mel that it hears, the two frames before it and
// the one behind it, so that every frame of the encoder is what the whole clip's convolutions would give.
at::Tensor StreamingSoundTokenizer::encode_block(int64_t block, int64_t end) {
  WhisperEncoder& encoder = tokenizer_.encoder();
  const EncoderBlocks& blocks = encoder.config().blocks;
  const int64_t first = block * blocks.frames;
  const int64_t count = std::min(blocks.frames + blocks.look_ahead, end / 2 - first);
  const int64_t before = first > 0 ? 1 : 0;  // frames of the encoder
  const int64_t mel_first = 2 * (first - before), mel_end = std::min(end, 2 * (first + count) + 1);
  const at::Tensor mel = mel_.slice(1, mel_first - mel_begin_, mel_end - mel_begin_).unsqueeze(0);
  return encoder.forward_block(encoder.convolve(mel).narrow(1, before, count), cache_);
}

std::vector<int> StreamingSoundTokenizer::next_codes(int64_t end) {
  const WhisperConfig& config = tokenizer_.encoder().config();
  const EncoderBlocks& blocks = config.blocks;
  const int64_t again = blocks_heard_again(blocks);
  if (cache_.length + blocks.frames + blocks.look_ahead > config.n_audio_ctx) {
    cache_.length = 0;
    for (int64_t block = block_ - again; block < block_; ++block) encode_block(block, end);
  }
  Bottleneck& bottleneck = tokenizer_.bottleneck();
  const at::Tensor features = encode_block(block_++, end);
  const at::Tensor codes = bottleneck.quantize(bottleneck.project(bottleneck.pool(features))).view(-1);
  const int64_t needed = std::max<int64_t>(0, 2 * ((block_ - again) * blocks.frames - 1));
  if (needed > mel_begin_) {
    mel_ = mel_.slice(1, needed - mel_begin_).clone();
    mel_begin_ = needed;
  }
  const auto* data = codes.const_data_ptr<int64_t>();
  return {data, data + codes.numel()};
}

}  // namespace ichigo
