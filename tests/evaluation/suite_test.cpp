#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "evaluation/suite_report.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

TEST(Suite, ThePapersIsValid) {
  const Suite suite = read_suite(std::filesystem::path(ICHIGO_SOURCE_DIR) / "recipes/suite_paper.yaml");
  for (const char* run : {"questions", "transcripts", "perplexity", "tasks", "gap", "speech", "latency"}) {
    EXPECT_TRUE(std::ranges::any_of(suite.entries, [&](const auto& entry) { return entry.run == run; })) << run;
  }
  for (const auto& figure : suite.published) {
    EXPECT_TRUE(std::ranges::any_of(suite.entries, [&](const auto& entry) {
      return entry.compare == figure.benchmark;
    })) << figure.benchmark;
    EXPECT_FALSE(figure.source.empty());
  }
}

class SmallSuite : public testing::Test {
 protected:
  void SetUp() override {
    write_file(folder_ / "published.tsv",
               "benchmark\ttitle\tsystem\tvalue\tunit\tsource\nmmlu\tMMLU (5-shot)\tIchigo\t63.79\t%\ttable 4\n"
               "gpqa\tGPQA\tIchigo\t29.69\t%\ttable 4\n");
  }
  Suite read(const std::string& entries) {
    write_file(folder_ / "suite.yaml",
               "title: Small\npublished: published.tsv\nmodels: [{name: a, path: x}]\nentries:\n" + entries);
    return read_suite(folder_ / "suite.yaml");
  }
  test::TemporaryFolder folder_;
};

TEST_F(SmallSuite, MakesCommands) {
  const Suite suite = read(
      "  - {name: t, run: tasks, inputs: [a.yaml], options: [--data, d], compare: mmlu}\n"
      "  - {name: q, run: questions, inputs: [q.tsv]}\n  - {name: w, run: gap, inputs: [q.tsv], options: [--with, "
      "text]}\n"
      "  - {name: c, run: questions, inputs: [q.tsv], options: [--with, cascade]}\n  - {name: l, run: latency}\n");
  EXPECT_EQ(
      suite.entries[0].arguments({"a.yaml", "b.yaml"}, "m"),
      (std::vector<std::string>{"evaluate", "tasks", "a.yaml", "b.yaml", "--model", "m", "--data", "d", "--json"}));
  EXPECT_EQ(suite.entries[4].arguments({"s.wav"}, "m"),
            (std::vector<std::string>{"bench", "latency", "--input", "s.wav", "--model", "m", "--json"}));
  std::string hearing, deaf;
  for (const auto& entry : suite.entries) {
    hearing += entry.suits(true) ? entry.name : "";
    deaf += entry.suits(false) ? entry.name : "";
  }
  EXPECT_EQ(hearing, "tqwl");
  EXPECT_EQ(deaf, "twc");
}

TEST_F(SmallSuite, SaysWhatIsWrong) {
  const auto message = [&](const std::string& entry) { return test::error_of([&] { read("  - " + entry + "\n"); }); };
  EXPECT_CONTAINS(message("{name: a/b, run: tasks, inputs: [x]}"), "\"a/b\" is no name");
  EXPECT_CONTAINS(message("{name: a, run: dance, inputs: [x]}"), "\"run\" must be one of questions, transcripts");
  EXPECT_CONTAINS(message("{name: a, run: tasks}"), "\"inputs\" is missing");
  EXPECT_CONTAINS(message("{name: a, run: tasks, inputs: [x], compare: mmul}"), "no published benchmark \"mmul\"");
  EXPECT_CONTAINS(message("{name: a, run: tasks, inputs: [x], limit: 3}"), "limit");
  EXPECT_CONTAINS(message("{name: a, run: latency}\n  - {name: a, run: latency}"), "two entries \"a\"");
  write_file(folder_ / "models.yaml", "title: T\nmodels: [{name: a, path: x}, {name: a, path: y}]\nentries: []\n");
  EXPECT_CONTAINS(test::error_of([&] { read_suite(folder_ / "models.yaml"); }), "two models \"a\"");
  write_file(folder_ / "published.tsv", "benchmark\ttitle\tsystem\tvalue\tunit\tsource\nm\tM\tI\tmany\t%\tt\n");
  EXPECT_CONTAINS(message("{name: a, run: latency}"), "published.tsv:2: \"many\" is not a number");
}

TEST(Figures, AreReadFromWhatCommandsPrint) {
  const auto first = [](const std::string& run, const json& result) {
    const auto figures = figures_of(run, result);
    return figures[0].name + " " + std::to_string(figures[0].value).substr(0, 6) + " " + figures[0].unit;
  };
  EXPECT_EQ(first("questions", {{"accuracy", 0.5}, {"items", 2}}), "right answers 50.000 %");
  EXPECT_EQ(first("transcripts", {{"word_error_rate", 0.25}}), "word error rate 25.000 %");
  EXPECT_EQ(first("perplexity", {{"perplexity", 12.5}}), "perplexity 12.500 ");
  EXPECT_EQ(first("gap", {{"gap", 0.125}, {"spoken", 1.625}, {"typed", 1.5}}), "spoken less typed 0.1250 nats/token");
  EXPECT_EQ(first("gap", {{"typed", 1.5}}), "after the typed question 1.5000 nats/token");
  EXPECT_EQ(first("tasks", json::array({{{"documents", 1}, {"scores", {{"acc,none", 1.0}}}},
                                        {{"documents", 3}, {"scores", {{"acc,none", 0.0}}}}})),
            "acc,none 25.000 %");
  EXPECT_EQ(first("speech", {{"judges", {{{"judge", "builtin"}, {"score", 60.0}}}}, {"agreement", json::array()}}),
            "rated by builtin 60.000 of 100");
  EXPECT_EQ(first("latency", {{"cases", {{{"mode", "streaming"}, {"seconds", 5.0}, {"p50_ms", 80.5}}}}}),
            "streaming, 5 s, p50 80.500 ms");
  EXPECT_CONTAINS(test::error_of([] { figures_of("questions", {{"items", 2}}); }), "the result of questions is not");
}

TEST_F(SmallSuite, TheReportSetsOursBesideThePublishedAndNamesWhatIsMissing) {
  const Suite suite = read(
      "  - {name: t, title: Ours | all, run: tasks, inputs: [a.yaml], compare: mmlu}\n"
      "  - {name: q, title: Spoken, run: questions, inputs: [q.tsv]}\n  - {name: l, title: Fast, run: latency}\n");
  const std::vector<Measurement> measurements = {
      {.entry = suite.entries.data(), .model = "a", .arguments = {"evaluate", "x y"}, .figures = {{"acc", 41.25, "%"}}},
      {.entry = suite.entries.data(), .model = "b", .figures = {{"acc", 39, "%"}}},
      {.entry = &suite.entries[1], .model = "a", .problem = "out of luck", .failed = true},
      {.entry = &suite.entries[1], .model = "b", .problem = "there is no q.tsv"}};
  write_suite_report(folder_ / "out", suite, measurements);
  const std::string report = read_file(folder_ / "out/report.md");
  EXPECT_CONTAINS(report, "| Ours \\| all | acc | 41.2 % | 39.0 % |");
  EXPECT_CONTAINS(report,
                  "### MMLU (5-shot)\n\n| system | figure | source |\n|---|---|---|\n| Ichigo | 63.8 % | table 4 |\n"
                  "| **a** (ours: Ours \\| all; acc) | 41.2 % | `ichigo evaluate 'x y'` |");
  EXPECT_CONTAINS(report,
                  "- Spoken, a: failed: out of luck\n- Spoken, b: there is no q.tsv\n- Fast: none of the models");
  EXPECT_CONTAINS(report, "- GPQA: published, without a figure of ours");
  const json results = json::parse(read_file(folder_ / "out/results.json"));
  EXPECT_EQ(results["measurements"][0]["figures"]["acc"], 41.25);
  EXPECT_EQ(results["measurements"][3]["missing"], "there is no q.tsv");
  EXPECT_EQ(results["published"][0]["value"], 63.79);
  const bool drawn = report.find("![MMLU (5-shot)](mmlu.svg)") != std::string::npos;
  EXPECT_EQ(drawn, std::filesystem::exists(folder_ / "out/mmlu.svg"));
  EXPECT_EQ(drawn, std::system("command -v gnuplot >/dev/null") == 0);
  EXPECT_EQ(drawn, report.find("There are no plots") == std::string::npos);
}

}  // namespace
}  // namespace ichigo
