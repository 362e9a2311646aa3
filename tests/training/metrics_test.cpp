#include "base/machine.h"
#include "training/metrics.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/atomic_file.h"
#include "base/error.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(Metrics, ARunThatResumesCutsTheLogBack) {
  const test::TemporaryFolder folder;
  {
    MetricsLog log(folder.path(), 0);
    for (int step = 0; step < 5; ++step) log.write({{"step", step}, {"loss", 5 - step}});
  }
  // The last line was cut off by a kill.
  write_file(folder.path() / "metrics.jsonl", read_file(folder.path() / "metrics.jsonl") + "{\"step\":5,\"lo");
  MetricsLog log(folder.path(), 3);
  EXPECT_CONTAINS(test::error_of([&] { MetricsLog(folder.path(), 0); }), "being written by another process");
  log.write({{"step", 3}, {"loss", 9}});
  EXPECT_EQ(read_file(folder.path() / "metrics.jsonl"),
            "{\"loss\":5,\"step\":0}\n{\"loss\":4,\"step\":1}\n{\"loss\":3,\"step\":2}\n{\"loss\":9,\"step\":3}\n");
}

TEST(Metrics, DrawsACurveForEachNumber) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(plot_metrics(folder.path()), Error);
  MetricsLog log(folder.path(), 0);
  EXPECT_THROW(plot_metrics(folder.path()), Error);  // nothing to draw yet
  for (int step = 0; step < 5; ++step) log.write({{"step", step}, {"loss", 5 - step}, {"note", "text"}});
  log.write({{"step", 5}, {"gradient_norm", 0.5}});
  if (std::system("command -v gnuplot >/dev/null") != 0) {
    EXPECT_THROW(plot_metrics(folder.path()), Error);
    return;
  }
  const auto drawn = read_file(plot_metrics(folder.path()));
  EXPECT_NE(drawn.find("<svg"), std::string::npos);
  EXPECT_NE(drawn.find(">loss<"), std::string::npos);
  EXPECT_NE(drawn.find(">gradient_norm<"), std::string::npos);
  EXPECT_EQ(drawn.find(">note<"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "curves.svg.gnuplot.part"));
}

TEST(Metrics, TheMatrixPeakIsPlausible) {
  const double peak = measure_matrix_peak();
  EXPECT_GT(peak, 1);
  EXPECT_LT(peak, 1e7);
}

}  // namespace
}  // namespace ichigo
