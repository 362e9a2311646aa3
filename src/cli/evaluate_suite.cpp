#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/stopwatch.h"
#include "cli/evaluate_options.h"
#include "evaluation/suite_report.h"
#include "text/trim.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStopped = "stopped; what was measured is kept, run the command again to go on";

// What a pattern with * and ? stands for; empty: nothing.
std::vector<std::string> files_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return files;
}

// When a file, or the last one in a folder and those below it, was changed.
int64_t changed(const fs::path& path) {
  std::error_code error;
  auto last = fs::last_write_time(path, error);
  if (fs::is_directory(path, error)) {
    for (const auto& entry : fs::recursive_directory_iterator(path))
      last = std::max(last, entry.last_write_time(error));
  }
  return last.time_since_epoch().count();
}

// Runs this program with these arguments; its output and messages go to files. -> its exit code, or below 0 the number
// of the signal that ended it.
int run_program(const std::vector<std::string>& arguments, const fs::path& out, const fs::path& messages) {
  const std::string program = "/proc/self/exe";  // this very one, even if it has been built anew since
  std::vector<char*> pointers = {const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t process = 0;
  const int error = ::posix_spawn(&process, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  require(error == 0, "cannot run ", program, ": ", std::strerror(error));
  int status = 0;
  while (::waitpid(process, &status, WNOHANG) == 0) {
    if (interrupted()) ::kill(process, SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string last_line(const std::string& text) {
  const std::string_view lines = trimmed(text);
  return std::string(lines.substr(lines.find_last_of("\r\n") + 1));  // npos + 1: the beginning
}

// Measures one entry with one model, unless `kept` holds the same measurement.
void measure(Measurement& measurement, const std::string& model, const fs::path& kept) {
  const SuiteEntry& entry = *measurement.entry;
  std::vector<std::string> files;
  int64_t newest = std::max(changed(model), changed("/proc/self/exe"));
  for (const auto& option : entry.options) {
    if (fs::exists(option)) newest = std::max(newest, changed(option));
  }
  for (const auto& input : entry.inputs) {
    const auto found = files_of(input);
    if (found.empty()) {
      measurement.problem = "there is no " + input;
      return;
    }
    files.insert(files.end(), found.begin(), found.end());
  }
  // A task's file includes others beside it.
  for (const auto& file : files)
    newest = std::max(newest, changed(entry.run == "tasks" ? fs::path(file).parent_path() : fs::path(file)));
  measurement.arguments = entry.arguments(files, model);
  const json identity = {{"arguments", measurement.arguments}, {"changed", newest}};
  if (fs::exists(kept)) {
    const json known = json::parse(read_file(kept), nullptr, false);
    if (known.is_object() && known.value("identity", json()) == identity) {
      measurement.figures = figures_of(entry.run, known.value("result", json()));
      return;
    }
  }
  std::fprintf(stderr, "%s, %s\n", entry.title.c_str(), measurement.model.c_str());
  const fs::path out = kept.string() + ".out", messages = fs::path(kept).replace_extension(".log");
  Stopwatch watch;
  const int code = run_program(measurement.arguments, out, messages);
  require(!interrupted(), kStopped);
  const json result = json::parse(read_file(out), nullptr, false);
  fs::remove(out);
  if (code != 0 || result.is_discarded()) {
    measurement.failed = true;
    measurement.problem = code < 0 ? concat("ended by signal ", -code, code == -SIGKILL ? " (out of memory?)" : "")
                                   : last_line(read_file(messages));
    measurement.problem += " (" + messages.string() + ")";
    return;
  }
  measurement.figures = figures_of(entry.run, result);
  write_file(kept, json{{"identity", identity}, {"seconds", watch.lap() / 1000}, {"result", result}}.dump(1) + "\n");
}

struct OpenedModel {
  std::string path, problem;  // problem: why it cannot be measured
  bool hears = false;
};

OpenedModel open_model(const std::string& named) {
  try {
    const fs::path path = find_model(named);
    require(fs::exists(path), "there is no model ", path.string());
    return {.path = path.string(), .hears = !find_ear(path).empty()};
  } catch (const Error& error) {
    return {.problem = error.what()};
  }
}

fs::path find_suite(const std::string& named) {
  if (named != "paper") return named;
  for (const auto& place : usual_places("recipes/suite_paper.yaml")) {
    if (fs::exists(place)) return place;
  }
  fail("there is no recipes/suite_paper.yaml here: run the command in the repository, or name a suite's file");
}

}  // namespace

void run_suite(const SuiteArguments& arguments) {
  Suite suite = read_suite(find_suite(arguments.suite));
  if (!arguments.models.empty()) suite.models.clear();
  for (const auto& model : arguments.models) {
    const size_t equals = model.find('=');
    const std::string path = model.substr(equals == std::string::npos ? 0 : equals + 1);
    const std::string name = equals == std::string::npos ? fs::absolute(path).lexically_normal().filename().string()
                                                         : model.substr(0, equals);
    require(!name.empty() && name.find('/') == std::string::npos, "--model ", model, ": give it a name, NAME=FOLDER");
    const bool fresh = std::ranges::none_of(suite.models, [&](const auto& known) { return known.first == name; });
    require(fresh, "two models are named \"", name, "\": give each a name of its own, --model NAME=FOLDER");
    suite.models.emplace_back(name, path);
  }
  require(!suite.models.empty(), "the suite names no models: name one with --model");
  // One that only the suite names may be missing: the report says so.
  if (!arguments.models.empty()) {
    for (const auto& [name, path] : suite.models) {
      require(fs::exists(find_model(path)), "--model ", name, ": there is no model ", path);
    }
  }
  const fs::path folder = arguments.output;
  fs::create_directories(folder / "measured");
  install_interrupt_handler();
  std::vector<Measurement> measurements;
  int64_t failed = 0, measured = 0;
  for (const auto& [name, path] : suite.models) {
    const OpenedModel model = open_model(path);
    for (const auto& entry : suite.entries) {
      if (model.problem.empty() && !entry.suits(model.hears)) continue;
      Measurement measurement{.entry = &entry, .model = name, .problem = model.problem};
      if (model.problem.empty()) {
        measure(measurement, model.path, folder / "measured" / concat(name, "-", entry.name, ".json"));
      }
      failed += measurement.failed ? 1 : 0;
      measured += measurement.figures.empty() ? 0 : 1;
      measurements.push_back(std::move(measurement));
    }
    // After each model, so that there is something to read meanwhile.
    write_suite_report(folder, suite, measurements);
  }
  std::printf("%lld of %zu measured: %s\n", static_cast<long long>(measured), measurements.size(),
              (folder / "report.md").c_str());
  require(failed == 0, failed, " of ", measurements.size(), " measurements failed; ", (folder / "report.md").string(),
          " says why");
}

void add_suite_options(CLI::App& command, SuiteArguments& arguments) {
  command.add_option("--model", arguments.models,
                     "Folder of a model, or NAME=FOLDER; may be given more than once (default: those of the suite)");
  command
      .add_option("--output", arguments.output, "Folder of report.md, results.json, the plots and what was measured")
      ->capture_default_str();
}

void add_evaluate_suite_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<SuiteArguments>();
  auto* command = evaluate.add_subcommand("suite", "A list of measurements, and one report beside published figures");
  command->add_option("suite", arguments->suite, "The suite (YAML), or \"paper\" for recipes/suite_paper.yaml")
      ->required();
  add_suite_options(*command, *arguments);
  command->callback([arguments] { run_suite(*arguments); });
}

}  // namespace ichigo
