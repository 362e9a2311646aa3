#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

namespace ichigo {
namespace {

TEST(Random, IsSplitMix64) {
  // The published sequence for the seed 1234567.
  Random random(1234567);
  for (const uint64_t expected : {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                                  4593380528125082431ULL, 16408922859458223821ULL}) {
    EXPECT_EQ(random.next(), expected);
  }
}

TEST(Random, StableHashIsFnv1a) {
  EXPECT_EQ(stable_hash(""), 0xCBF29CE484222325ULL);
  EXPECT_EQ(stable_hash("a"), 0xAF63DC4C8601EC8CULL);
  EXPECT_EQ(stable_hash("foobar"), 0x85944171F73967E8ULL);
}

TEST(Random, KeyedStreamsDiffer) {
  std::set<uint64_t> first;
  for (int seed = 0; seed < 10; ++seed) {
    for (int row = 0; row < 100; ++row) first.insert(Random::keyed(static_cast<uint64_t>(seed), row).next());
  }
  EXPECT_EQ(first.size(), 1000U);
  EXPECT_NE(Random::keyed(3, 4, 5).next(), Random::keyed(3, 5, 4).next());
}

// What was made from a seed must come out the same for ever. The values are those of the same formulas in Python.
TEST(Random, StreamsAreTheSameEverywhere) {
  EXPECT_EQ(Random::keyed(3, 4, 5).next(), 8794052431611959444ULL);
  Random random(1);
  for (const uint64_t expected : {3, 5, 6, 3, 3, 5, 6, 3}) EXPECT_EQ(random.below(7), expected);
  std::vector<int> items = {0, 1, 2, 3, 4, 5, 6, 7};
  Random(9).shuffle(items);
  EXPECT_EQ(items, (std::vector<int>{2, 4, 0, 6, 3, 1, 7, 5}));
  EXPECT_NEAR(Random(1).normal(), -0.034267321791851144, 1e-15);
}

TEST(Random, DistributionsHaveTheirMoments) {
  Random random(1);
  constexpr int kCount = 100000;
  double sum = 0, normal_sum = 0, normal_squares = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < kCount; ++i) {
    const double value = random.uniform(2, 4);
    ASSERT_TRUE(value >= 2 && value < 4);
    sum += value;
    const double normal = random.normal();
    normal_sum += normal;
    normal_squares += normal * normal;
    ++counts.at(random.below(7));
  }
  EXPECT_NEAR(sum / kCount, 3, 0.01);
  EXPECT_NEAR(normal_sum / kCount, 0, 0.02);
  EXPECT_NEAR(normal_squares / kCount, 1, 0.03);
  for (const int count : counts) EXPECT_NEAR(count, kCount / 7.0, 500);
}

TEST(Random, ShuffleKeepsTheItems) {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  auto shuffled = items;
  Random(9).shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  std::ranges::sort(shuffled);
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace ichigo
