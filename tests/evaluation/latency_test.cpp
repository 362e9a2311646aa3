#include "evaluation/latency.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/plot.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

std::vector<LatencyCase> some_cases() {
  std::vector<LatencyCase> cases;
  for (const double seconds : {2.0, 5.0}) {
    cases.push_back({"offline", seconds, {30, 10, 20}, {.mel = 1, .encode = 4, .prefill = 14, .first_step = 1}});
    cases.push_back({"streaming", seconds, {3, 1, 2}, {.encode = 1, .prefill = 1, .while_speaking = 100}, 0.05});
    cases.push_back({"cascade", seconds, {100, 300, 200}, {.recognise = 150, .prefill = 50}});
  }
  return cases;
}

TEST(Latency, Percentiles) {
  EXPECT_DOUBLE_EQ(percentile({7}, 0.95), 7);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 1), 4);
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);
  EXPECT_DOUBLE_EQ(percentile(values, 0.95), 95);
  EXPECT_NE(test::error_of([] { percentile({}, 0.5); }), "");
}

TEST(Latency, JsonAndTable) {
  const json result = latency_json(some_cases());
  ASSERT_EQ(result["cases"].size(), 6U);
  const json& streaming = result["cases"][4];
  EXPECT_EQ(streaming["mode"], "streaming");
  EXPECT_EQ(streaming["seconds"], 5);
  EXPECT_EQ(streaming["p50_ms"], 2);
  EXPECT_EQ(streaming["p95_ms"], 2.9);
  EXPECT_EQ(streaming["hearing_share"], 0.05);
  EXPECT_EQ(result["cases"][2]["parts_ms"]["recognise"], 150);
  const std::string table = latency_table(some_cases());
  EXPECT_EQ(std::ranges::count(table, '\n'), 7);
  EXPECT_CONTAINS(table, "   5 s  cascade      200.0    290.0 |");
  EXPECT_CONTAINS(table, "5.0 % of the time");
}

TEST(Latency, DrawsBars) {
  if (std::system("command -v gnuplot >/dev/null") != 0) GTEST_SKIP() << "no gnuplot here";
  const test::TemporaryFolder folder;
  const auto file = folder / "latency.svg";
  draw_plot(file, 900, 500, latency_plot(some_cases()));
  const std::string drawn = read_file(file);
  for (const char* part : {"<svg", ">offline<", ">streaming<", ">cascade<", ">5 s<"}) EXPECT_CONTAINS(drawn, part);
  EXPECT_CONTAINS(test::error_of([&] { draw_plot(file, 900, 500, "no command\n"); }), "gnuplot could not draw");
}

TEST(Latency, RefusesWhatCannotBeMeasured) {
  EXPECT_CONTAINS(test::error_of([] { LatencyOptions{.repeats = 0}.validate(); }), "at least once");
  EXPECT_CONTAINS(test::error_of([] { LatencyOptions{.seconds = {}}.validate(); }), "no question");
  EXPECT_CONTAINS(test::error_of([] { LatencyOptions{.seconds = {-1}}.validate(); }), "0.1 to 300 s");
}

}  // namespace
}  // namespace ichigo
