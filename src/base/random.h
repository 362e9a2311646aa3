// Small deterministic random numbers: the same on every machine and compiler, unlike <random>'s distributions.
// Generator: SplitMix64 (Steele, Lea, Flood, 2014). Not for cryptography.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <utility>

namespace ichigo {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // A stream that depends on several keys (seed, row, copy...), independent of streams with other keys.
  template <typename... Keys>
  static Random keyed(uint64_t seed, Keys... keys) {
    Random random(seed);
    ((random.state_ = random.next() ^ static_cast<uint64_t>(keys)), ...);
    random.next();
    return random;
  }

  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // In [0, count).
  uint64_t below(uint64_t count) { return static_cast<uint64_t>(uniform() * static_cast<double>(count)); }
  // Standard normal (Box-Muller, one of the pair).
  double normal() {
    const double u = 1.0 - uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
  }
  template <typename Container>
  void shuffle(Container& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }
  uint64_t state() const { return state_; }
  void set_state(uint64_t state) { state_ = state; }

 private:
  uint64_t state_;
};

// FNV-1a: a stable hash of text, for keyed streams.
inline uint64_t stable_hash(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ULL;
  return hash;
}

}  // namespace ichigo
