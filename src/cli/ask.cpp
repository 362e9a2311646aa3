#include "cli/ask.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "audio/audio_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "cli/options.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

struct Arguments {
  std::string file, text, model, dtype = "auto";
  bool json = false, cascade = false;
  int threads = 0;
  EarFiles ear;
  AudioLimits limits;
  ConversationConfig config;
};

void print_json(const Reply& reply, const std::string& heard, const std::string& model) {
  const nlohmann::json json = {
      {"answer", reply.text},
      {"heard", heard},
      {"model", model},
      {"timing_ms", reply.timing.to_json()},
      {"tokens", {{"sound", reply.sound_tokens}, {"prompt", reply.prompt_tokens}, {"answer", reply.answer_tokens}}},
      {"cut_off", reply.cut_off}};
  std::printf("%s\n", json_line(json).c_str());
}

void ask(const Arguments& arguments) {
  require(!arguments.cascade || arguments.ear.empty(),
          "--cascade hears with Whisper: leave out --tokenizer and --whisper");
  Stopwatch watch;
  const std::vector<float> samples = read_audio(arguments.file, arguments.limits);
  set_threads(arguments.threads);
  std::unique_ptr<Assistant> assistant;
  std::string name = "cascade";
  if (arguments.cascade) {
    assistant = std::make_unique<Cascade>(load_cascade(arguments.model, arguments.dtype, arguments.config));
  } else {
    const auto folder = find_model(arguments.model);
    name = folder.string();
    assistant = std::make_unique<Conversation>(load_hearing_model(folder, arguments.ear, arguments.dtype),
                                               arguments.config);
  }
  const double load = watch.lap();
  Reply reply = assistant->hear(samples, arguments.text, [&](std::string_view piece) {
    if (arguments.json) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  });
  reply.timing.load = load;
  if (!arguments.json) {
    std::printf("%s\n", reply.cut_off ? " ..." : "");
    std::fflush(stdout);
  }
  const std::string heard = assistant->heard();
  if (arguments.json) {
    print_json(reply, heard, name);
  } else {
    std::printf("heard: \"%s\" | %s\n", heard.c_str(), reply.timing.summary().c_str());
  }
}

}  // namespace

void add_ask_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("ask", "Answer a spoken question, then say what was heard and how fast");
  command->add_option("file", arguments->file, "The recording: WAV, FLAC, OGG or MP3, any rate and channels")
      ->required();
  command->add_option("--text", arguments->text, "Typed words that go before the speech in the same turn");
  command->add_option("--model", arguments->model,
                      "Folder of the model, or a GGUF file (default: $ICHIGO_MODEL or models/mini)");
  command->add_flag("--cascade", arguments->cascade, "Whisper, then a language model, both fetched by: fetch base");
  command->add_flag("--json", arguments->json, "Print one JSON object; times in milliseconds");
  add_dtype_option(*command, arguments->dtype);
  add_ear_options(*command, arguments->ear);
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  add_generation_options(*command, arguments->config);
  command->callback([arguments] { ask(*arguments); });
}

}  // namespace ichigo
