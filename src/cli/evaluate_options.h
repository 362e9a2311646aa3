// What the subcommands of `ichigo evaluate` share.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/audio_file.h"
#include "base/atomic_file.h"
#include "cli/options.h"

namespace ichigo {

struct EvaluateArguments {
  std::string list, with = "fused", model, rows, tokenizer, dtype = "auto";
  int64_t context = 512;
  size_t limit = 0;
  bool as_json = false;
  int threads = 0;
  EarFiles ear;
  AudioLimits limits;
  ConversationConfig config;
};

// The file of --rows: a TSV, so that it can be read, and given to evaluate again. It appears when all is done.
class RowsFile {
 public:
  RowsFile(const EvaluateArguments& arguments, const std::vector<std::string>& columns);
  void add(const std::vector<std::string>& cells);
  void commit();

 private:
  std::optional<AtomicFile> file_;
};

// "12.3 %".
std::string percent(double share);

// --with, --model, --dtype, --tokenizer, --whisper, --rows, --limit, --json, --threads, --max-seconds.
void add_list_options(CLI::App& command, EvaluateArguments& arguments, const std::vector<std::string>& with);

// Each way of hearing uses its own parts of an ear: throws Error for those that would be ignored.
void check_ear(const EvaluateArguments& arguments);

// Who answers: --with fused, cascade or text. Throws Error.
std::unique_ptr<Assistant> load_assistant(const EvaluateArguments& arguments);

void add_evaluate_questions_command(CLI::App& evaluate);
void add_evaluate_transcripts_command(CLI::App& evaluate);
void add_evaluate_tokenizer_command(CLI::App& evaluate);
void add_evaluate_perplexity_command(CLI::App& evaluate);
void add_evaluate_runs_command(CLI::App& evaluate);
void add_evaluate_tasks_command(CLI::App& evaluate);
void add_evaluate_speech_command(CLI::App& evaluate);
void add_evaluate_gap_command(CLI::App& evaluate);

struct SuiteArguments {
  std::string suite, output = "work/evaluation";
  std::vector<std::string> models;
};
// --model, --output.
void add_suite_options(CLI::App& command, SuiteArguments& arguments);
// Throws Error; also, at the end, when a measurement failed.
void run_suite(const SuiteArguments& arguments);
void add_evaluate_suite_command(CLI::App& evaluate);

}  // namespace ichigo
