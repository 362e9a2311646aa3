// A bounded queue of samples from one thread to one other, without locks.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace ichigo {

class SampleRing {
 public:
  explicit SampleRing(size_t capacity) : samples_(capacity) {}

  // The writer's: appends what there is room for and returns how many.
  size_t write(std::span<const float> samples) {
    const uint64_t end = end_.load(std::memory_order_relaxed);
    const uint64_t begin = begin_.load(std::memory_order_acquire);
    const size_t count = std::min(samples.size(), samples_.size() - static_cast<size_t>(end - begin));
    for (size_t i = 0; i < count; ++i) samples_[(end + i) % samples_.size()] = samples[i];
    end_.store(end + count, std::memory_order_release);
    return count;
  }

  // The reader's: takes what there is, as far as `samples` has room, and returns how many.
  size_t read(std::span<float> samples) {
    const uint64_t begin = begin_.load(std::memory_order_relaxed);
    const uint64_t end = end_.load(std::memory_order_acquire);
    const size_t count = std::min(samples.size(), static_cast<size_t>(end - begin));
    for (size_t i = 0; i < count; ++i) samples[i] = samples_[(begin + i) % samples_.size()];
    begin_.store(begin + count, std::memory_order_release);
    return count;
  }

  // Right for either thread, at the moment it asks.
  size_t size() const {
    const uint64_t begin = begin_.load(std::memory_order_acquire);
    return static_cast<size_t>(end_.load(std::memory_order_acquire) - begin);
  }

 private:
  std::vector<float> samples_;
  std::atomic<uint64_t> begin_{0}, end_{0};
};

}  // namespace ichigo
