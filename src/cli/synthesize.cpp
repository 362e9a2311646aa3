#include "cli/synthesize.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/options.h"
#include "data/synthesize.h"

namespace ichigo {

void add_synthesize_command(CLI::App& app) {
  auto* command = app.add_subcommand("synthesize", "Make speech data from text: sound codes, features or audio");
  struct Arguments {
    std::string recipe;
    SynthesizeOptions options;
  };
  auto arguments = std::make_shared<Arguments>();
  command->add_option("recipe", arguments->recipe, "What to make (recipes/*.yaml)")->required();
  command->add_option("--threads", arguments->options.threads, "Rows at once (0: two for each core)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_option("--limit", arguments->options.limit, "Stop after so many rows; the same command goes on later")
      ->check(CLI::Range(int64_t{1}, kMostItems));
  auto* shards = command->add_option("--shards", arguments->options.shards,
                                     "Codes and text: divide the rows among so many runs, on one machine or several");
  shards->check(CLI::Range(int64_t{1}, int64_t{99999}))->capture_default_str();
  auto* shard = command->add_option("--shard", arguments->options.shard, "Which of them this run makes, from 0 on");
  shard->needs(shards);
  shards->needs(shard);
  command->callback([arguments] {
    install_interrupt_handler();
    const SynthesizeResult result = synthesize(arguments->recipe, arguments->options);
    std::printf("%s: %lld of %lld rows, %s of speech made now\n", result.output.c_str(),
                static_cast<long long>(result.rows), static_cast<long long>(result.total),
                format_duration(result.seconds).c_str());
    require(!interrupted() || result.rows == result.total, "stopped; run the same command again to go on");
    if (result.rows < result.total) std::fputs("Run the same command again to go on.\n", stderr);
  });
}

}  // namespace ichigo
