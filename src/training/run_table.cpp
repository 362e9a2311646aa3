#include "training/run_table.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "base/plot.h"
#include "training/metrics.h"

namespace ichigo {
namespace {

constexpr size_t kMeanOver = 50;

std::vector<nlohmann::json> steps_with_loss(const std::filesystem::path& run) {
  auto lines = read_metrics(run);
  std::erase_if(lines, [](const auto& line) { return !line.contains("loss"); });
  require(!lines.empty(), run.string(), ": its metrics hold no step with a loss");
  return lines;
}

double mean(const std::vector<nlohmann::json>& lines, const char* key, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += lines[i].value(key, 0.0);
  return sum / static_cast<double>(end - begin);
}

std::string number(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

RunSummary summarize_run(const std::filesystem::path& run) {
  const auto lines = steps_with_loss(run);
  const size_t count = lines.size(), part = std::min(kMeanOver, count);
  RunSummary summary;
  summary.name = run.has_filename() ? run.filename().string() : run.parent_path().filename().string();
  summary.steps = static_cast<int64_t>(count);
  summary.first_loss = mean(lines, "loss", 0, part);
  summary.last_loss = mean(lines, "loss", count - part, count);
  summary.gflops = mean(lines, "gflops", 0, count);
  summary.matrix_peak_gflops = mean(lines, "matrix_peak_gflops", 0, count);
  for (const auto& line : lines) {
    const int64_t tokens = line.value("tokens", summary.tokens);
    const double rate = line.value("tokens_per_s", 0.0);
    summary.seconds += line.value("seconds", rate > 0 ? static_cast<double>(tokens - summary.tokens) / rate : 0.0);
    summary.tokens = tokens;
    summary.peak_learning_rate = std::max(summary.peak_learning_rate, line.value("learning_rate", 0.0));
    summary.validation_loss = line.value("validation_loss", summary.validation_loss);
  }
  return summary;
}

std::string run_table(const std::vector<RunSummary>& runs) {
  std::ostringstream table;
  table << "| run | steps | tokens | hours | peak learning rate | loss, first and last " << kMeanOver
        << " steps | validation loss | share of the matrix peak |\n|---|---|---|---|---|---|---|---|\n";
  for (const auto& run : runs) {
    table << "| " << run.name << " | " << run.steps << " | "
          << (run.tokens > 0 ? number("%.2f M", static_cast<double>(run.tokens) / 1e6) : "") << " | "
          << number("%.2f", run.seconds / 3600) << " | " << number("%.2g", run.peak_learning_rate) << " | "
          << number("%.3f", run.first_loss) << ", " << number("%.3f", run.last_loss) << " | "
          << (run.validation_loss > 0 ? number("%.3f", run.validation_loss) : "") << " | "
          << (run.matrix_peak_gflops > 0 ? number("%.0f %%", 100 * run.gflops / run.matrix_peak_gflops) : "") << " |\n";
  }
  return table.str();
}

void plot_runs(const std::vector<std::filesystem::path>& runs, RunOrder order, const std::filesystem::path& file) {
  std::ostringstream data, axes, plot;
  int64_t first = 0;
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto lines = steps_with_loss(runs[i]);
    data << "$run" << i << " << EOD\n";
    for (const auto& line : lines) {
      data << first + line.at("step").get<int64_t>() << ' ' << line.at("loss").get<double>() << '\n';
    }
    data << "EOD\n";
    const RunSummary summary = summarize_run(runs[i]);
    best = std::min(best, summary.last_loss);
    plot << (i > 0 ? ", " : "plot ") << "$run" << i << " smooth bezier linewidth 2 title \"" << summary.name
         << "\" noenhanced";
    if (order == RunOrder::kOneAfterAnother) first += lines.back().at("step").get<int64_t>() + 1;
  }
  axes << "set grid\nset xlabel 'step'\nset ylabel 'loss'\nset key right top\n";
  if (order == RunOrder::kSideBySide && best > 0) axes << "set yrange [*:" << 3 * best << "]\n";
  draw_plot(file, 900, 420, data.str() + axes.str() + plot.str() + "\n");
}

}  // namespace ichigo
