#include "cli/evaluate_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace ichigo {

RowsFile::RowsFile(const EvaluateArguments& arguments, const std::vector<std::string>& columns) {
  const std::string& path = arguments.rows;
  if (path.empty()) return;
  require(!same_file(path, arguments.list), path, " is the list itself: name another file for the rows");
  file_.emplace(path);
  add(columns);
}

void RowsFile::add(const std::vector<std::string>& cells) {
  if (!file_) return;
  std::string line;
  for (std::string cell : cells) {
    std::ranges::replace_if(cell, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    line += cell + '\t';
  }
  line.back() = '\n';
  file_->write(line);
}

void RowsFile::commit() {
  if (file_) file_->commit();
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

void check_ear(const EvaluateArguments& arguments) {
  if (arguments.with == "fused") return;
  require(arguments.dtype == "auto" || arguments.with == "text" || arguments.with == "cascade", "--with ",
          arguments.with, " computes in float32: leave out --dtype");
  require(arguments.ear.whisper.empty(), "--whisper belongs to --with fused; --with ", arguments.with,
          arguments.with == "text" ? " hears nothing" : " takes Whisper from --model");
  require(arguments.with == "codes" || arguments.ear.empty(), "--with ", arguments.with, " needs no --tokenizer");
}

std::unique_ptr<Assistant> load_assistant(const EvaluateArguments& arguments) {
  check_ear(arguments);
  if (arguments.with == "cascade")
    return std::make_unique<Cascade>(load_cascade(arguments.model, arguments.dtype, arguments.config));
  const auto model = find_model(arguments.model);
  return std::make_unique<Conversation>(arguments.with == "fused"
                                            ? load_hearing_model(model, arguments.ear, arguments.dtype)
                                            : load_text_model(model, arguments.dtype),
                                        arguments.config);
}

void add_list_options(CLI::App& command, EvaluateArguments& arguments, const std::vector<std::string>& with) {
  const bool cascade = std::ranges::find(with, "cascade") != with.end();
  command
      .add_option("--with", arguments.with,
                  concat("Who is measured", cascade ? "; the cascade is Whisper, then a language model" : ""))
      ->check(CLI::IsMember(with))
      ->capture_default_str();
  std::string base_weights;
  for (const std::string& name : with) {
    if (name == "cascade" || name == "whisper") base_weights += (base_weights.empty() ? "; " : " and ") + name;
  }
  if (!base_weights.empty()) base_weights += ": the base weights";
  command.add_option("--model", arguments.model,
                     "Folder of the model (default: $ICHIGO_MODEL or models/mini" + base_weights + ")");
  add_dtype_option(command, arguments.dtype);
  add_ear_options(command, arguments.ear);  // with codes: the sound tokenizer whose codes Whisper's decoder reads
  command.add_option("--rows", arguments.rows, "Write a TSV with a row for each item");
  command.add_option("--limit", arguments.limit, "Only the first rows of the list (0: all)")
      ->check(CLI::Range(int64_t{0}, kMostItems));
  command.add_flag("--json", arguments.as_json, "Print one JSON object");
  add_threads_option(command, arguments.threads);
  add_max_seconds_option(command, arguments.limits.max_seconds);
}

}  // namespace ichigo
