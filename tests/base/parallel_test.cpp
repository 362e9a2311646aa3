#include "base/parallel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>

namespace ichigo {
namespace {

TEST(ParallelOrdered, ConsumesInOrderWhateverTheThreads) {
  for (const int threads : {1, 2, 5}) {
    std::vector<int64_t> seen;
    parallel_ordered<int64_t>(
        3, 103, threads,
        [](int64_t index, int) {
          if (index % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          return index * index;
        },
        [&](int64_t index, int64_t square) {
          EXPECT_EQ(square, index * index);
          seen.push_back(index);
          return true;
        });
    std::vector<int64_t> expected(100);
    std::iota(expected.begin(), expected.end(), 3);
    EXPECT_EQ(seen, expected);
  }
}

TEST(ParallelOrdered, StopsWhenTheConsumerHasEnough) {
  int64_t consumed = 0;
  std::atomic<int64_t> produced = 0;
  parallel_ordered<int>(
      0, 1000000, 2, [&](int64_t, int) { return static_cast<int>(++produced); },
      [&](int64_t, int) { return ++consumed < 10; });
  EXPECT_EQ(consumed, 10);
  EXPECT_LE(produced, 10 + 8 + 2);
}

TEST(ParallelOrdered, PassesErrorsOnFromBothSides) {
  const auto produce = [](int64_t index, int) {
    if (index == 20) throw std::runtime_error("producer");
    return 0;
  };
  EXPECT_THROW(parallel_ordered<int>(0, 100, 3, produce, [](int64_t, int) { return true; }), std::runtime_error);
  EXPECT_THROW(parallel_ordered<int>(
                   0, 100, 3, [](int64_t, int) { return 0; },
                   [](int64_t index, int) -> bool {
                     if (index == 5) throw std::logic_error("consumer");
                     return true;
                   }),
               std::logic_error);
}

TEST(ParallelOrdered, NothingToDoIsFine) {
  parallel_ordered<int>(
      5, 5, 2, [](int64_t, int) { return 0; },
      [](int64_t, int) {
        ADD_FAILURE();
        return true;
      });
}

}  // namespace
}  // namespace ichigo
