#include "cli/evaluate.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/evaluate_options.h"

namespace ichigo {

void add_evaluate_command(CLI::App& app) {
  auto* command = app.add_subcommand("evaluate", "Measure a model");
  add_evaluate_questions_command(*command);
  add_evaluate_transcripts_command(*command);
  add_evaluate_tokenizer_command(*command);
  add_evaluate_perplexity_command(*command);
  add_evaluate_runs_command(*command);
  add_evaluate_tasks_command(*command);
  add_evaluate_speech_command(*command);
  add_evaluate_gap_command(*command);
  add_evaluate_suite_command(*command);

  // Without a subcommand: --suite NAME.
  auto arguments = std::make_shared<SuiteArguments>();
  command->require_subcommand(0, 1);
  command->add_option("--suite", arguments->suite, "The same as the subcommand suite");
  add_suite_options(*command, *arguments);
  // Options before a subcommand would be the suite's, and the subcommand would never see them.
  for (CLI::App* subcommand : command->get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (option != command->get_help_ptr()) subcommand->excludes(option);
    }
  }
  command->callback([command, arguments] {
    if (!command->get_subcommands().empty()) return;
    if (arguments->suite.empty()) throw CLI::RequiredError::Subcommand(1);
    run_suite(*arguments);
  });
}

}  // namespace ichigo
