// Long recordings in pieces that a model can hear at once, cut where it is quiet.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "audio/audio_file.h"
#include "audio/log_mel.h"

namespace ichigo {

// Where audio that is too long for one window is cut: at the quietest 0.1 s in a stretch of each piece.
struct PauseRule {
  double longest, earliest, latest;  // seconds: a piece that is longer is cut between `earliest` and `latest`
  size_t step;                       // samples from one candidate to the next
  size_t grid;                       // the cut is at a multiple of so many samples
  bool middle;                       // of the quiet stretch, else where it begins
};
// For what a language model hears: no part of a sound code is lost at a cut.
inline constexpr PauseRule kHearingPauses{29, 28, 29, kHop, 4 * kHop, true};
// For codes that Whisper's decoder reads: as Ichigo-ASR's transcribe (chunk=20, overlap=1).
inline constexpr PauseRule kReadingPauses{20, 19, 21, kSampleRate / 10, 1, false};
// The start of every piece in samples, beginning with 0.
std::vector<size_t> split_at_pauses(std::span<const float> samples, const PauseRule& rule = kHearingPauses);
// The pieces themselves, each with what lies up to the next one.
std::vector<std::span<const float>> pieces_at_pauses(std::span<const float> samples, const PauseRule& rule);

}  // namespace ichigo
