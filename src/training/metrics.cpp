#include "training/metrics.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/plot.h"

namespace ichigo {
namespace {

constexpr const char* kMetrics = "metrics.jsonl";

// "step" of one line, or -1 when it is no metrics line (cut off by a kill, say).
int64_t step_of(const nlohmann::json& line) {
  if (!line.is_object()) return -1;
  const auto step = line.find("step");
  return step != line.end() && step->is_number_integer() ? step->get<int64_t>() : -1;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& run, int64_t resume_step) : path_(run / kMetrics), lock_(run) {
  std::string kept;
  if (std::filesystem::exists(path_)) {
    std::istringstream lines(read_file(path_));
    for (std::string line; std::getline(lines, line);) {
      const int64_t step = step_of(nlohmann::json::parse(line, nullptr, false));
      if (step >= 0 && step < resume_step) kept += line + "\n";
    }
  }
  write_file(path_, kept);
}

void MetricsLog::write(const nlohmann::json& line) {
  std::ofstream file(path_, std::ios::app);
  file << line.dump() << '\n' << std::flush;
  require(file.good(), "cannot write ", path_.string(), "; is the disk full?");
}

std::vector<nlohmann::json> read_metrics(const std::filesystem::path& run) {
  std::vector<nlohmann::json> steps;
  std::istringstream lines(read_file(run / kMetrics));
  for (std::string text; std::getline(lines, text);) {
    auto line = nlohmann::json::parse(text, nullptr, false);
    if (step_of(line) >= 0) steps.push_back(std::move(line));
  }
  return steps;
}

std::filesystem::path plot_metrics(const std::filesystem::path& run) {
  std::map<std::string, std::vector<std::pair<int64_t, double>>> curves;
  for (const auto& line : read_metrics(run)) {
    for (const auto& [key, value] : line.items()) {
      if (key != "step" && value.is_number()) curves[key].emplace_back(step_of(line), value.get<double>());
    }
  }
  require(!curves.empty(), (run / kMetrics).string(), " holds no numbers to draw yet");

  const int columns = curves.size() > 1 ? 2 : 1;
  const int rows = (static_cast<int>(curves.size()) + columns - 1) / columns;
  std::ostringstream commands;
  commands << "set multiplot layout " << rows << "," << columns << "\nset grid\nset xlabel 'step'\nunset key\n";
  int number = 0;
  for (const auto& [key, points] : curves) {
    commands << "$curve" << number << " << EOD\n";
    for (const auto& [step, value] : points) commands << step << ' ' << value << '\n';
    commands << "EOD\nset title \"" << key << "\" noenhanced\nplot $curve" << number++ << " with lines linewidth 1.5\n";
  }
  commands << "unset multiplot\n";
  const auto drawn = run / "curves.svg";
  draw_plot(drawn, 640 * columns, 300 * rows, commands.str());
  return drawn;
}

}  // namespace ichigo
