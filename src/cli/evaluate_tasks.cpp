#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/text_benchmark.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

using nlohmann::json;

struct TaskArguments {
  std::vector<std::string> files;
  std::string data = ".", model, rows, dtype = kTextDtype;
  size_t limit = 0;
  bool as_json = false;
  int threads = 0;
};

void tasks(const TaskArguments& arguments) {
  std::vector<TextTask> tasks;
  int64_t documents = 0;
  for (const auto& file : arguments.files) {
    tasks.push_back(read_text_task(file, arguments.data, arguments.limit));
    documents += static_cast<int64_t>(tasks.back().documents.size());
  }
  std::optional<AtomicFile> rows;
  if (!arguments.rows.empty()) rows.emplace(arguments.rows);
  set_threads(arguments.threads);
  const FusedModel model = load_text_model(find_model(arguments.model), arguments.dtype);
  TextScorer scorer(model);
  Progress progress("tasks", documents, "documents");
  int64_t done = 0;
  std::vector<TextBenchmark> results;
  for (const auto& task : tasks) {
    const TextDocument* last = nullptr;
    results.push_back(evaluate_text_task(task, scorer, [&](const TextSample& sample) {
      if (sample.document != last) progress.update(++done, task.name);
      last = sample.document;
      if (!rows) return;
      json row = sample_json(task, sample);
      row["task"] = task.name;
      rows->write(json_line(row) + "\n");
    }));
  }
  progress.finish();
  if (rows) rows->commit();
  if (arguments.as_json) {
    json list = json::array();
    for (const auto& result : results) {
      list.push_back({{"task", result.task}, {"documents", result.documents}, {"scores", result.scores}});
    }
    std::printf("%s\n", list.dump().c_str());
    return;
  }
  for (const auto& result : results) {
    for (const auto& [name, score] : result.scores) {
      std::printf("%s %s: %s of %lld\n", result.task.c_str(), name.c_str(), percent(score).c_str(),
                  static_cast<long long>(result.documents));
    }
  }
}

}  // namespace

void add_evaluate_tasks_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<TaskArguments>();
  auto* command = evaluate.add_subcommand("tasks", "Benchmarks of text, as lm-evaluation-harness describes them");
  command->add_option("tasks", arguments->files, "Task files (YAML: multiple_choice, generate_until)")->required();
  command->add_option("--data", arguments->data, "Folder of the documents (JSON lines)")->capture_default_str();
  command->add_option("--model", arguments->model,
                      "Folder of the model, or a GGUF file (default: $ICHIGO_MODEL or models/mini)");
  add_dtype_option(*command, arguments->dtype);
  command->add_option("--rows", arguments->rows,
                      "Write JSON lines with a row for each sample, as the harness logs them");
  command->add_option("--limit", arguments->limit, "Only the first documents of each task (0: all)");
  command->add_flag("--json", arguments->as_json, "Print one JSON list");
  add_threads_option(*command, arguments->threads);
  command->callback([arguments] { tasks(*arguments); });
}

}  // namespace ichigo
