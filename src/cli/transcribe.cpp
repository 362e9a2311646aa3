#include "cli/transcribe.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "audio/audio_file.h"
#include "base/device.h"
#include "cli/options.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string model;
  int threads = 0;
  AudioLimits limits;
};

void transcribe(const Arguments& arguments) {
  set_threads(arguments.threads);
  std::vector<float> samples = read_audio(arguments.files.front(), arguments.limits);
  const Recogniser recogniser =
      arguments.model.empty() ? load_whisper_base() : load_recogniser(resolve_base(arguments.model));
  for (size_t i = 0; i < arguments.files.size(); ++i) {
    if (i > 0) samples = read_audio(arguments.files[i], arguments.limits);
    const std::string text = recogniser.transcribe(samples);
    if (arguments.files.size() > 1) std::printf("%s\t", arguments.files[i].c_str());
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
  }
}

}  // namespace

void add_transcribe_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("transcribe", "Write down what is said in recordings (Whisper)");
  command
      ->add_option("files", arguments->files, "WAV, FLAC, OGG or MP3, any rate; of several, each line names its file")
      ->required();
  command->add_option("--model", arguments->model,
                      "Folder with Whisper's weights and tokenizer.json (default: tiny.en, brought by: fetch base)");
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  command->callback([arguments] { transcribe(*arguments); });
}

}  // namespace ichigo
