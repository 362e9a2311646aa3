// Says of every 10 ms of sound whether it stands out of the background and whether it is voiced (periodic as the voice
// is). The background is learnt as it goes: minimum statistics per frequency band (Martin 2001), then a mean over what
// lies near the minimum (as Cohen's IMCRA, 2003). Voicing is the peak of the autocorrelation (Boersma 1993).
// Not here: where speech begins and ends (voice_activity).
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace ichigo {

class SpeechFrames {
 public:
  static constexpr int kHop = 160;         // samples at 16 kHz from frame to frame
  static constexpr int kWindow = 512;      // samples in a frame
  static constexpr int kBands = 18;        // 94 Hz to 7 kHz, equally wide on the mel scale
  static constexpr int kRemembered = 150;  // frames back that can still be asked for

  SpeechFrames();

  // Takes the `kWindow` samples of the next frame.
  void add(std::span<const float> samples);
  int64_t count() const { return count_; }

  // How far frame `index` stands out of the background as it is known now: dB, mean over the bands of what each has
  // above it. Below 1.3 for steady noise.
  double prominence(int64_t index) const;
  // Level above 94 Hz in dB; 0 is a sine of full scale.
  double level(int64_t index) const { return frame(index).level; }
  // Correlation of the frame with itself one pitch period (2.5 to 12.5 ms) later, 0 to 1.
  double periodicity(int64_t index) const { return frame(index).periodicity; }

 private:
  using Bands = std::array<double, kBands>;
  struct Frame {
    Bands power{};  // smoothed over three frames
    double level = 0, periodicity = 0;
  };
  const Frame& frame(int64_t index) const;
  void learn_background(const Bands& power);

  at::Tensor window_, samples_;          // float32 [kWindow]; the second also holds the frame while it is transformed
  std::vector<double> own_periodicity_;  // of the window itself, which the frame's is divided by
  std::deque<Frame> frames_;             // the last kRemembered
  std::deque<Bands> raw_;                // the last three before smoothing
  int64_t count_ = 0;
  Bands smooth_{}, background_{};
  std::deque<Bands> minima_;  // of the last kMinimumBlocks blocks of frames, the present one last
};

}  // namespace ichigo
