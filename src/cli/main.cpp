// The program: one file for each command. Errors are one line and exit code 1, misuse is exit code 2.
#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>

#include "cli/ask.h"
#include "cli/bench.h"
#include "cli/chat.h"
#include "cli/convert.h"
#include "cli/distill.h"
#include "cli/evaluate.h"
#include "cli/fetch.h"
#include "cli/import.h"
#include "cli/inspect.h"
#include "cli/synthesize.h"
#include "cli/talk.h"
#include "cli/tokenize.h"
#include "cli/train.h"
#include "cli/transcribe.h"

namespace {

constexpr const char* kVersion = "ichigo " ICHIGO_VERSION;

int complain(std::string message, int code) {
  std::ranges::replace(message, '\n', ' ');
  std::fflush(stdout);
  std::fprintf(stderr, "ichigo: %s\n", message.c_str());
  return code;
}

int run(int argc, char** argv) {
  CLI::App app("Ichigo: a voice assistant that hears speech as tokens of its language model.", "ichigo");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(0, 1);
  ichigo::add_ask_command(app);
  ichigo::add_chat_command(app);
  ichigo::add_talk_command(app);
  ichigo::add_transcribe_command(app);
  ichigo::add_tokenize_command(app);
  ichigo::add_fetch_command(app);
  ichigo::add_synthesize_command(app);
  ichigo::add_distill_command(app);
  ichigo::add_train_command(app);
  ichigo::add_evaluate_command(app);
  ichigo::add_convert_command(app);
  ichigo::add_inspect_command(app);
  ichigo::add_bench_command(app);
  ichigo::add_import_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::string command = "ichigo";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      command += " " + at->get_name();
    }
    return complain(error.what() + ("; see: " + command + " --help"), 2);
  }
  if (app.get_subcommands().empty()) std::fputs(app.help().c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  try {
    code = run(argc, argv);
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    return complain(message.substr(0, message.find('\n')), 1);
  } catch (const std::filesystem::filesystem_error& error) {
    return complain(error.path1().string() + ": " + error.code().message(), 1);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", 1);
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return complain("standard output cannot be written to", 1);
  return code;
}
