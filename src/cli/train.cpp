#include "cli/train.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/device.h"
#include "base/interrupt.h"
#include "training/metrics.h"
#include "training/trainers.h"

namespace ichigo {

void add_train_command(CLI::App& app) {
  struct Arguments {
    std::string recipe;
    TrainOptions options;
    int threads = 0;
    bool plot = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "train what a recipe describes; goes on where a stopped run left off");
  command->add_option("recipe", arguments->recipe, "recipes/NAME.yaml")->required();
  command->add_option("--steps", arguments->options.stop_after_steps, "stop after so many more steps")
      ->check(CLI::PositiveNumber);
  command->add_option("--seconds", arguments->options.stop_after_seconds, "stop after so many seconds")
      ->check(CLI::PositiveNumber);
  command->add_option("--threads", arguments->threads, "processor threads (0: all)")->check(CLI::NonNegativeNumber);
  command->add_flag("--plot", arguments->plot, "only draw the run's metrics as RUN/curves.svg");
  command->callback([arguments] {
    if (arguments->plot) {
      std::printf("%s\n", plot_metrics(run_folder(arguments->recipe)).c_str());
      return;
    }
    set_threads(arguments->threads);
    install_interrupt_handler();
    train(arguments->recipe, arguments->options);
  });
}

}  // namespace ichigo
