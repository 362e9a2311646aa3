#include "cli/train.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "cli/options.h"
#include "cli/train_plan.h"
#include "training/metrics.h"
#include "training/trainers.h"

namespace ichigo {

void add_train_command(CLI::App& app) {
  struct Arguments {
    std::string recipe;
    TrainOptions options;
    PlanOptions planning;
    std::string device = "auto";
    int threads = 0;
    bool plot = false, plan = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("train", "Train what a recipe describes; goes on where a stopped run left off");
  command->add_option("recipe", arguments->recipe, "recipes/NAME.yaml")->required();
  command->add_option("--steps", arguments->options.stop_after_steps, "Stop after so many more steps")
      ->check(CLI::Range(int64_t{1}, kMostItems));
  command->add_option("--seconds", arguments->options.stop_after_seconds, "Stop after so many seconds")
      ->check(CLI::Range(1e-3, 1e9));
  command->add_option("--device", arguments->device, "cpu, cuda or cuda:N; auto: cuda for a decoder where there is one")
      ->capture_default_str();
  add_threads_option(*command, arguments->threads);
  command->add_flag("--plot", arguments->plot, "Only draw the run's metrics as RUN/curves.svg");
  auto* plan = command->add_flag("--plan", arguments->plan, "Only print what a decoder's training will take");
  for (const char* option : {"--steps", "--seconds", "--plot", "--device"}) plan->excludes(command->get_option(option));
  command->add_option("--ranks", arguments->planning.ranks, "Of a plan: over how many the training is divided")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->needs(plan);
  command->add_option("--device-memory", arguments->planning.device_memory, "Of a plan: GiB of one rank")
      ->check(CLI::Range(1e-3, 1e6))
      ->needs(plan);
  command->add_option("--peak", arguments->planning.peak, "Of a plan: TFLOP/s of one rank (default: measured here)")
      ->check(CLI::Range(1e-3, 1e6))
      ->needs(plan);
  command->add_option("--share", arguments->planning.share, "Of a plan: the share of the peak that training reaches")
      ->check(CLI::Range(0.001, 1.0))
      ->needs(plan);
  command->add_flag("--json", arguments->planning.json, "Of a plan: print one JSON object")->needs(plan);
  command->callback([arguments] {
    if (arguments->plot) {
      std::printf("%s\n", plot_metrics(run_folder(arguments->recipe)).c_str());
      return;
    }
    set_threads(arguments->threads);
    if (arguments->plan) {
      print_plan(arguments->recipe, arguments->planning);
      return;
    }
    if (arguments->device != "auto") arguments->options.device = parse_device(arguments->device);
    install_interrupt_handler();
    const auto& options = arguments->options;
    if (train(arguments->recipe, options)) return;
    require(options.stops_early() && !interrupted(), "stopped; run the same command again to go on");
    std::fputs("Run the same command again to go on.\n", stderr);
  });
}

}  // namespace ichigo
