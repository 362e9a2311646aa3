#include "cli/distill.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "assistant/distillation.h"
#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/options.h"
#include "weights/base_weights.h"

namespace ichigo {

void add_distill_command(CLI::App& app) {
  struct Arguments {
    std::string output, model = "base:smollm2-135m-instruct", dtype = "auto";
    DistillConfig config;
    DistillOptions options;
    int threads = 0;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("distill", "Let a language model write questions and answers that can be spoken");
  command->add_option("output", arguments->output, "The table to write; an unfinished one is gone on with")->required();
  command->add_option("--attempts", arguments->options.attempts, "Questions to draw in all; some of them are kept")
      ->check(CLI::Range(int64_t{1}, kMostItems))
      ->capture_default_str();
  command->add_option("--seconds", arguments->options.seconds, "Stop after so many; the same command goes on later")
      ->check(CLI::Range(1e-3, 1e9));
  command->add_option("--model", arguments->model, "Folder of a model, or a GGUF file")->capture_default_str();
  command->add_option("--system", arguments->config.system_prompt, "System prompt: what is asked, and how answered");
  command->add_option("--temperature", arguments->config.temperature, "Of the questions")->capture_default_str();
  command->add_option("--top-p", arguments->config.top_p, "Of the questions")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  command->add_option("--seed", arguments->config.seed, "The same seed, the same table")->capture_default_str();
  add_dtype_option(*command, arguments->dtype);
  add_threads_option(*command, arguments->threads);
  command->callback([arguments] {
    set_threads(arguments->threads);
    arguments->options.model = arguments->model + ' ' + arguments->dtype;
    Distiller distiller(load_text_model(resolve_base(arguments->model), arguments->dtype), arguments->config);
    install_interrupt_handler();
    const DistillResult result = distill(distiller, arguments->output, arguments->options);
    std::printf("%s: %lld rows of %lld attempts; now %lld of %lld in %s\n", arguments->output.c_str(),
                static_cast<long long>(result.rows), static_cast<long long>(result.attempts),
                static_cast<long long>(result.rows_now), static_cast<long long>(result.attempts_now),
                format_duration(result.seconds).c_str());
    std::vector<std::pair<int64_t, std::string>> reasons;
    for (const auto& [reason, count] : result.refused) reasons.emplace_back(count, reason);
    std::ranges::sort(reasons, std::greater());
    for (const auto& [count, reason] : reasons) {
      std::printf("%8lld  %s\n", static_cast<long long>(count), reason.c_str());
    }
    const bool whole = result.attempts == arguments->options.attempts;
    require(!interrupted() || whole, "stopped; run the same command again to go on");
    if (!whole) std::puts("Run the same command again to go on.");
  });
}

}  // namespace ichigo
