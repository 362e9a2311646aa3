// Whisper's log-mel spectrogram (openai-whisper audio.py): 16 kHz, Hann 400, hop 160, slaney mel filters.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace ichigo {

constexpr int kMelBands = 80;           // of all but the largest Whisper models
constexpr int kHop = 160;               // samples between frames: 100 frames a second
constexpr int kWindowFrames = 3000;     // of the 30 s that Whisper hears at once
constexpr float kLoudestLogPower = 1;   // the usual maximum of a clip of speech
constexpr float kSilentLogMel = -1.5F;  // (log10(1e-10) + 4) / 4: what Ichigo pads with

// The slaney filter bank [bands, 201] for 16 kHz and a 400-point transform.
at::Tensor mel_filters(int bands);

// samples -> float32 [bands, samples / 160] (80 or 128 bands); reflect padding at both ends, floor at the clip's
// maximum - 8, then (x + 4) / 4. A clip of 0 frames gives [bands, 0]. Clips of 200 samples or fewer, where reflection
// is not defined, are padded with zeros to 201 first (frames still samples / 160).
at::Tensor log_mel(std::span<const float> samples, int bands = kMelBands);

// The same numbers frame by frame: accept samples in chunks of any size, then take frames as they are settled.
// Frames come as log10 power without the floor, which depends on the whole clip; `normalize` applies it.
class StreamingLogMel {
 public:
  explicit StreamingLogMel(int bands = kMelBands);
  void accept(std::span<const float> samples);
  void finish();  // end of the clip: the last frames are padded by reflection
  // Settled frames since the last call: float32 [bands, frames].
  at::Tensor take();
  // floor at max - 8 and scale, for the concatenation of all frames.
  static at::Tensor normalize(const at::Tensor& log_power);
  // The same for those who cannot wait for the clip's end: each frame's floor is the loudest so far - 8, that being at
  // least kLoudestLogPower. `loudest` is what frames before these came to, and takes up these.
  static at::Tensor normalize_so_far(const at::Tensor& log_power, float& loudest);

 private:
  int bands_;
  std::vector<float> buffer_;  // samples from the start of the next frame on (reflected head included)
  int64_t received_ = 0, emitted_ = 0;
  bool finished_ = false;
};

}  // namespace ichigo
