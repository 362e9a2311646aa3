// Tables and curves of training runs.
#include "training/run_table.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"
#include "training/metrics.h"

namespace ichigo {
namespace {

TEST(RunTable, SumsUpWhatTheMetricsSay) {
  const test::TemporaryFolder folder;
  MetricsLog log(folder / "stage1", 0);
  for (int step = 0; step < 120; ++step) {
    nlohmann::json line = {{"step", step},
                           {"loss", step < 50 ? 4.0 : 2.0},
                           {"learning_rate", step == 7 ? 1e-3 : 1e-4},
                           {"gflops", 300},
                           {"tokens", 1000 * (step + 1)},
                           {"tokens_per_s", step < 60 ? 500 : 250},
                           {"matrix_peak_gflops", 400}};
    if (step == 100) line["validation_loss"] = 2.5;
    log.write(line);
  }
  const RunSummary run = summarize_run(folder / "stage1");
  EXPECT_EQ(run.name, "stage1");
  EXPECT_EQ(run.steps, 120);
  EXPECT_EQ(run.tokens, 120000);
  EXPECT_DOUBLE_EQ(run.seconds, 60 * 2 + 60 * 4);
  EXPECT_DOUBLE_EQ(run.peak_learning_rate, 1e-3);
  EXPECT_DOUBLE_EQ(run.first_loss, 4);
  EXPECT_DOUBLE_EQ(run.last_loss, 2);
  EXPECT_DOUBLE_EQ(run.validation_loss, 2.5);
  EXPECT_NE(run_table({run, run}).find("| stage1 | 120 | 0.12 M | 0.10 | 0.001 | 4.000, 2.000 | 2.500 | 75 % |\n"),
            std::string::npos)
      << run_table({run});
  plot_runs({folder / "stage1", folder / "stage1"}, RunOrder::kOneAfterAnother, folder / "loss.svg");
  EXPECT_NE(read_file(folder / "loss.svg").find("<svg"), std::string::npos);
  plot_runs({folder / "stage1", folder / "stage1"}, RunOrder::kSideBySide, folder / "beside.svg");
  EXPECT_NE(read_file(folder / "loss.svg").find("> 250<"), std::string::npos) << "the axis of 120 steps behind 120";
  EXPECT_EQ(read_file(folder / "beside.svg").find("> 250<"), std::string::npos);
}

TEST(RunTable, ShowsWhereRunsSideBySideEnd) {
  const test::TemporaryFolder folder;
  MetricsLog log(folder / "run", 0);
  for (int step = 0; step < 120; ++step) log.write({{"step", step}, {"loss", step < 10 ? 1000.0 : 2.0}});
  plot_runs({folder / "run"}, RunOrder::kOneAfterAnother, folder / "loss.svg");
  plot_runs({folder / "run"}, RunOrder::kSideBySide, folder / "beside.svg");
  EXPECT_NE(read_file(folder / "loss.svg").find("> 1000<"), std::string::npos);
  EXPECT_EQ(read_file(folder / "beside.svg").find("> 1000<"), std::string::npos);
  EXPECT_NE(read_file(folder / "beside.svg").find("> 6<"), std::string::npos) << "three times the end";
}

TEST(RunTable, TellsTheTimeOfRunsWithoutText) {
  const test::TemporaryFolder folder;
  MetricsLog log(folder / "codes", 0);
  for (int step = 0; step < 4; ++step) log.write({{"step", step}, {"loss", 1.5}, {"seconds", 450}});
  EXPECT_NE(run_table({summarize_run(folder / "codes")}).find("| codes | 4 |  | 0.50 | 0 | 1.500, 1.500 |  |  |\n"),
            std::string::npos)
      << run_table({summarize_run(folder / "codes")});
}

TEST(RunTable, SaysWhatIsMissing) {
  const test::TemporaryFolder folder;
  EXPECT_CONTAINS(test::error_of([&] { summarize_run(folder / "absent"); }), "absent");
  MetricsLog(folder / "empty", 0).write({{"step", 0}, {"codes", 3}});
  EXPECT_CONTAINS(test::error_of([&] { summarize_run(folder / "empty"); }), "no step with a loss");
}

}  // namespace
}  // namespace ichigo
