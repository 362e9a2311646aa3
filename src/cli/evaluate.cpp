#include "cli/evaluate.h"

#include <CLI/CLI.hpp>

#include "cli/evaluate_options.h"

namespace ichigo {

void add_evaluate_command(CLI::App& app) {
  auto* command = app.add_subcommand("evaluate", "Measure a model");
  command->require_subcommand(1);
  add_evaluate_questions_command(*command);
  add_evaluate_transcripts_command(*command);
  add_evaluate_tokenizer_command(*command);
  add_evaluate_perplexity_command(*command);
  add_evaluate_runs_command(*command);
  add_evaluate_tasks_command(*command);
  add_evaluate_speech_command(*command);
  add_evaluate_gap_command(*command);
}

}  // namespace ichigo
