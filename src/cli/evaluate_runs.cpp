#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/evaluate_options.h"
#include "training/run_table.h"

namespace ichigo {

void add_evaluate_runs_command(CLI::App& evaluate) {
  struct Arguments {
    std::vector<std::string> runs;
    std::string plot;
    bool side_by_side = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* runs = evaluate.add_subcommand("runs", "A table of training runs, out of their own metrics");
  runs->add_option("runs", arguments->runs, "Their folders; a run that goes on from another behind it")->required();
  runs->add_option("--plot", arguments->plot, "Draw their losses as this SVG");
  runs->add_flag("--side-by-side", arguments->side_by_side, "Draw each from step 0, as runs with the same beginning");
  runs->callback([arguments] {
    std::vector<RunSummary> summaries;
    for (const auto& run : arguments->runs) summaries.push_back(summarize_run(run));
    const RunOrder order = arguments->side_by_side ? RunOrder::kSideBySide : RunOrder::kOneAfterAnother;
    if (!arguments->plot.empty()) plot_runs({arguments->runs.begin(), arguments->runs.end()}, order, arguments->plot);
    std::fputs(run_table(summaries).c_str(), stdout);
  });
}

}  // namespace ichigo
