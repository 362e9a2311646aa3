#include "cli/tokenize.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>

#include "audio/audio_file.h"
#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "cli/options.h"
#include "text/sound_vocabulary.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

struct Arguments {
  std::string file, model;
  int threads = 0;
  bool text = false;
  EarFiles ear;
  AudioLimits limits;
};

// A line of ids for each line of the file.
void tokenize_text(const Arguments& arguments) {
  require(arguments.ear.empty(), "--text needs no ear: leave out --tokenizer and --whisper");
  const auto vocabulary = open_vocabulary(arguments.model.empty() ? find_model("") : resolve_base(arguments.model));
  const std::string text = read_file(arguments.file);
  std::string line;
  std::array<char, 20> digits;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    line.clear();
    for (const int64_t id : vocabulary.encode(std::string_view(text).substr(begin, end - begin))) {
      if (!line.empty()) line += ' ';
      line.append(digits.data(), std::to_chars(digits.begin(), digits.end(), id).ptr);
    }
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stdout);
    begin = end + 1;
  }
}

void tokenize_speech(const Arguments& arguments) {
  require(arguments.model.empty() || arguments.ear.empty(),
          "--model has an ear of its own: leave it out, or --tokenizer and --whisper");
  const auto samples = read_audio(arguments.file, arguments.limits);
  set_threads(arguments.threads);
  const EarFiles files = ear_of(arguments.ear.empty() ? find_model(arguments.model) : "", arguments.ear);
  require(files.adapter.empty(), "this model hears vectors: it has no sound codes to print");
  const SoundTokenizer ear = load_ear(files);
  std::printf("%s\n", sound_string(ear.encode(samples)).c_str());
}

}  // namespace

void add_tokenize_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("tokenize", "Print a recording as the sound tokens that the model hears");
  command->add_option("file", arguments->file, "The recording: WAV, FLAC, OGG or MP3, any rate and channels")
      ->required();
  command->add_option("--model", arguments->model, "Folder of the model (default: $ICHIGO_MODEL or models/mini)");
  add_ear_options(*command, arguments->ear);
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  command->add_flag("--text", arguments->text,
                    "The file is text: print each line's token ids (--model: a GGUF file or tokenizer.json will do)");
  command->callback([arguments] { arguments->text ? tokenize_text(*arguments) : tokenize_speech(*arguments); });
}

}  // namespace ichigo
