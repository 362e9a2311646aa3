#include "training/metrics.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr const char* kMetrics = "metrics.jsonl";

// "step" of one line, or -1 when it is no metrics line (cut off by a kill, say).
int64_t step_of(const nlohmann::json& line) {
  if (!line.is_object()) return -1;
  const auto step = line.find("step");
  return step != line.end() && step->is_number_integer() ? step->get<int64_t>() : -1;
}

bool run_gnuplot(const std::filesystem::path& script) {
  std::string name = "gnuplot", argument = script.string();
  char* arguments[] = {name.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  const bool started = ::posix_spawnp(&process, name.c_str(), &quiet, nullptr, arguments, environ) == 0;
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  return started && ::waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& run, int64_t resume_step) : path_(run / kMetrics) {
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

std::filesystem::path plot_metrics(const std::filesystem::path& run) {
  std::map<std::string, std::vector<std::pair<int64_t, double>>> curves;
  std::istringstream lines(read_file(run / kMetrics));
  for (std::string text; std::getline(lines, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    const int64_t step = step_of(line);
    if (step < 0) continue;
    for (const auto& [key, value] : line.items()) {
      if (key != "step" && value.is_number()) curves[key].emplace_back(step, value.get<double>());
    }
  }
  require(!curves.empty(), (run / kMetrics).string(), " holds no numbers to draw yet");

  const auto drawn = run / "curves.svg", partial = run / "curves.svg.part";
  const int columns = curves.size() > 1 ? 2 : 1;
  const int rows = (static_cast<int>(curves.size()) + columns - 1) / columns;
  std::ostringstream script;
  script << "set terminal svg size " << 640 * columns << "," << 300 * rows << " dynamic\nset output " << partial
         << "\nset multiplot layout " << rows << "," << columns << "\nset grid\nset xlabel 'step'\nunset key\n";
  int number = 0;
  for (const auto& [key, points] : curves) {
    script << "$curve" << number << " << EOD\n";
    for (const auto& [step, value] : points) script << step << ' ' << value << '\n';
    script << "EOD\nset title \"" << key << "\" noenhanced\nplot $curve" << number++ << " with lines linewidth 1.5\n";
  }
  script << "unset multiplot\nset output\n";

  const auto script_path = run / "curves.gnuplot.part";
  write_file(script_path, script.str());
  const bool done = run_gnuplot(script_path);
  std::error_code error;
  std::filesystem::remove(script_path, error);
  require(done, "gnuplot could not draw ", drawn.string(), "; is the package gnuplot-nox installed?");
  std::filesystem::rename(partial, drawn);
  return drawn;
}

}  // namespace ichigo
