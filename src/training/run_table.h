// What training runs came to, read from their own metrics: a table, and their loss curves in one picture.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace ichigo {

struct RunSummary {
  std::string name;               // the run's folder
  int64_t steps = 0, tokens = 0;  // tokens: 0 where the run has no text
  double seconds = 0;             // of computing, without pauses between two sittings
  double peak_learning_rate = 0;
  double first_loss = 0, last_loss = 0;       // means over the first and the last 50 steps
  double validation_loss = 0;                 // the last one; 0: none
  double gflops = 0, matrix_peak_gflops = 0;  // means over all steps; 0: not measured
};

// Throws Error when RUN/metrics.jsonl is absent or has no steps with a loss.
RunSummary summarize_run(const std::filesystem::path& run);
// A Markdown table, one line a run.
std::string run_table(const std::vector<RunSummary>& runs);
// Whether each run went on from the one before, or all had the same beginning.
enum class RunOrder { kOneAfterAnother, kSideBySide };
// The loss over the steps of all runs as SVG; side by side only what is below three times the best end, because runs
// with the same beginning end close together. Throws Error without gnuplot.
void plot_runs(const std::vector<std::filesystem::path>& runs, RunOrder order, const std::filesystem::path& file);

}  // namespace ichigo
