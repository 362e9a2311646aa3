#include "cli/tokenize.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "audio/audio_file.h"
#include "base/device.h"
#include "cli/options.h"
#include "text/sound_vocabulary.h"

namespace ichigo {
namespace {

struct Arguments {
  std::string file, model;
  int threads = 0;
  AudioLimits limits;
};

}  // namespace

void add_tokenize_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("tokenize", "Print a recording as the sound tokens that the model hears");
  command->add_option("file", arguments->file, "The recording: WAV, FLAC, OGG or MP3, any rate and channels")
      ->required();
  command->add_option("--model", arguments->model, "Folder of the model (default: $ICHIGO_MODEL or models/mini)");
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  command->callback([arguments] {
    const auto samples = read_audio(arguments->file, arguments->limits);
    set_threads(arguments->threads);
    const SoundTokenizer ear = load_ear(find_model(arguments->model));
    std::printf("%s\n", sound_string(ear.encode(samples)).c_str());
  });
}

}  // namespace ichigo
