#include "training/codebook.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace ichigo {
namespace {

at::Tensor unit(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, true);
}

// `each` points close around each of `count` random directions, cluster by cluster.
at::Tensor clusters(int64_t count, int64_t each, const at::Tensor& centres) {
  return unit(centres.repeat_interleave(each, 0) + 0.02 * at::randn({count * each, centres.size(1)}));
}

TEST(Codebook, KMeansUsesEveryCodeOnClusteredData) {
  at::manual_seed(1);
  const auto centres = unit(at::randn({16, 8}));
  const auto points = clusters(16, 50, centres);
  Codebook codebook(at::zeros({64, 8}), {});
  EXPECT_FALSE(codebook.started());
  codebook.start(points, Random(1));
  const auto codes = codebook.assign(points);
  EXPECT_EQ(std::get<0>(at::_unique(codes)).numel(), 64);
  EXPECT_GT(codebook.perplexity(), 32);
  // Four codes for each cluster: every point lies close to its own.
  const auto vectors = codebook.state().at("codebook.vectors");
  EXPECT_GT((points * vectors.index_select(0, codes)).sum(1).min().item<float>(), 0.98F);
  EXPECT_LT((vectors.norm(2, {1}) - 1).abs().max().item<float>(), 1e-5F);
}

TEST(Codebook, AssignsTheNearestByCosine) {
  at::manual_seed(2);
  const auto vectors = unit(at::randn({20, 5})), points = unit(at::randn({100, 5}));
  const auto codes = Codebook(vectors, {}).assign(points);
  for (int64_t i = 0; i < 100; ++i) {
    int64_t best = 0;
    double best_distance = 1e9;
    for (int64_t code = 0; code < 20; ++code) {
      const double distance = (points[i] - vectors[code]).norm().item<double>();
      if (distance < best_distance) best = code, best_distance = distance;
    }
    EXPECT_EQ(codes[i].item<int64_t>(), best);
  }
}

TEST(Codebook, FollowsItsVectorsAndRevivesDeadCodes) {
  at::manual_seed(3);
  const auto before = unit(at::randn({8, 6}));
  CodebookConfig config;
  config.decay = 0.8;
  auto vectors = at::zeros({16, 6});
  Codebook codebook(vectors, config);
  codebook.start(clusters(8, 40, before), Random(1));
  // The data moves to other clusters: the codes must follow, and none may stay behind unused.
  const auto after = unit(at::randn({8, 6}));
  int64_t revived = 0;
  for (uint64_t step = 0; step < 60; ++step) {
    const auto points = clusters(8, 40, after);
    revived += codebook.update(points, codebook.assign(points), Random(step));
  }
  EXPECT_GT(revived, 0);
  const auto points = clusters(8, 40, after);
  EXPECT_GT(at::mm(points, vectors.t()).amax(1).min().item<float>(), 0.95F);
  EXPECT_EQ(std::get<0>(at::_unique(codebook.assign(points))).numel(), 16);
}

TEST(Codebook, GoesOnFromItsState) {
  at::manual_seed(4);
  const auto points = unit(at::randn({200, 6}));
  Codebook one(at::zeros({10, 6}), {}), other(at::zeros({10, 6}), {});
  one.start(points, Random(1));
  other.load_state(one.state());
  EXPECT_TRUE(other.started());
  const auto more = unit(at::randn({50, 6}));
  one.update(more, one.assign(more), Random(2));
  other.update(more, other.assign(more), Random(2));
  for (const auto& [name, tensor] : one.state()) EXPECT_TRUE(at::equal(tensor, other.state().at(name))) << name;
  EXPECT_THROW(other.load_state({}), Error);
}

TEST(Codebook, NeedsAtLeastAsManyVectorsAsCodes) {
  Codebook codebook(at::zeros({10, 6}), {});
  EXPECT_THROW(codebook.start(at::ones({9, 6}), Random(1)), Error);
}

}  // namespace
}  // namespace ichigo
