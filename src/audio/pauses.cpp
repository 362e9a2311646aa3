#include "audio/pauses.h"

#include <algorithm>
#include <limits>

namespace ichigo {

std::vector<size_t> split_at_pauses(std::span<const float> samples, const PauseRule& rule) {
  constexpr size_t kQuiet = kSampleRate / 10;
  const auto in_samples = [](double seconds) { return static_cast<size_t>(seconds * kSampleRate); };
  std::vector<size_t> starts{0};
  while (samples.size() - starts.back() > in_samples(rule.longest)) {
    const size_t end = std::min(starts.back() + in_samples(rule.latest), samples.size());
    size_t best = end;
    double least = std::numeric_limits<double>::infinity();
    for (size_t at = starts.back() + in_samples(rule.earliest); at + kQuiet < end; at += rule.step) {
      double energy = 0;
      for (size_t i = at; i < at + kQuiet; ++i) energy += static_cast<double>(samples[i]) * samples[i];
      if (energy < least) least = energy, best = (rule.middle ? at + kQuiet / 2 : at) / rule.grid * rule.grid;
    }
    starts.push_back(best);
  }
  return starts;
}

std::vector<std::span<const float>> pieces_at_pauses(std::span<const float> samples, const PauseRule& rule) {
  const auto starts = split_at_pauses(samples, rule);
  std::vector<std::span<const float>> pieces;
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t end = i + 1 < starts.size() ? starts[i + 1] : samples.size();
    pieces.push_back(samples.subspan(starts[i], end - starts[i]));
  }
  return pieces;
}

}  // namespace ichigo
