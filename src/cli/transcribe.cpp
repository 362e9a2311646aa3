#include "cli/transcribe.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "audio/audio_file.h"
#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "cli/options.h"
#include "text/json_text.h"
#include "text/sound_vocabulary.h"
#include "text/trim.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string model, tokenizer;
  int threads = 0;
  bool translate = false, fallback = false, as_json = false, sound_strings = false;
  WhisperDecodingOptions decoding{.language = ""};
  AudioLimits limits;
};

// "01:02.340"
std::string clock_text(double seconds) {
  const auto milliseconds = static_cast<long long>(std::llround(seconds * 1000));
  char text[32];
  std::snprintf(text, sizeof text, "%02lld:%02lld.%03lld", milliseconds / 60000, milliseconds / 1000 % 60,
                milliseconds % 1000);
  return text;
}

nlohmann::ordered_json describe(const std::string& file, const Transcript& transcript) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const Segment& segment : transcript.segments) {
    segments.push_back({{"begin", segment.begin}, {"end", segment.end}, {"text", segment.text}});
  }
  return {{"path", file}, {"language", transcript.language}, {"text", transcript.text}, {"segments", segments}};
}

void print(const std::string& file, const Transcript& transcript, const Arguments& arguments) {
  const std::string prefix = arguments.files.size() > 1 ? file + "\t" : "";
  if (arguments.as_json) {
    std::printf("%s\n", json_line(describe(file, transcript)).c_str());
  } else if (arguments.decoding.timestamps) {
    for (const Segment& segment : transcript.segments) {
      std::printf("%s[%s --> %s] %s\n", prefix.c_str(), clock_text(segment.begin).c_str(),
                  clock_text(segment.end).c_str(), segment.text.c_str());
    }
  } else {
    std::printf("%s%s\n", prefix.c_str(), transcript.text.c_str());
  }
  std::fflush(stdout);
}

void transcribe(const Arguments& arguments) {
  set_threads(arguments.threads);
  TranscriptionOptions options = arguments.fallback ? TranscriptionOptions::with_fallback() : TranscriptionOptions{};
  options.decoding = arguments.decoding;
  if (arguments.translate) options.decoding.task = "translate";
  require(!arguments.sound_strings || !arguments.tokenizer.empty(),
          "--sound needs --tokenizer, the sound tokenizer that the codes are of");
  require(arguments.tokenizer.empty() || (!arguments.decoding.timestamps && !arguments.fallback),
          "--timestamps and --fallback are for Whisper's own hearing: leave them or --tokenizer out");
  for (const auto& file : arguments.files) require(std::filesystem::exists(file), "there is no file ", file);
  // Read before the weights: a wrong file is told at once.
  const auto recording = [&](size_t i) { return read_audio(arguments.files[i], arguments.limits); };
  std::vector<float> samples;
  if (!arguments.sound_strings) samples = recording(0);
  const Recogniser recogniser =
      arguments.model.empty() ? load_whisper_base() : load_recogniser(resolve_base(arguments.model));
  const bool multilingual = recogniser.vocabulary.multilingual();
  require(multilingual ||
              (!arguments.translate && (options.decoding.language.empty() || options.decoding.language == "en")),
          "this Whisper model knows only English: leave out --language and --translate, or name another --model");
  if (!options.decoding.language.empty()) recogniser.vocabulary.language_token(options.decoding.language);
  std::optional<SoundTokenizer> tokenizer;
  if (!arguments.tokenizer.empty()) tokenizer.emplace(recogniser.whisper.encoder, load_bottleneck(arguments.tokenizer));
  for (size_t i = 0; i < arguments.files.size(); ++i) {
    if (i > 0 && !arguments.sound_strings) samples = recording(i);
    Transcript transcript;
    if (arguments.sound_strings) {
      const auto codes = parse_sound_string(trimmed(read_file(arguments.files[i])));
      transcript.text = recogniser.read_codes(tokenizer->bottleneck(), codes, options.decoding);
    } else if (tokenizer) {
      transcript.text = recogniser.transcribe_through_codes(*tokenizer, samples, options.decoding);
    } else {
      transcript = recogniser.transcribe(samples, options);
    }
    print(arguments.files[i], transcript, arguments);
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
  command->add_option("--tokenizer", arguments->tokenizer,
                      "Hear through the codes of this sound tokenizer (with its output blocks)");
  command->add_flag("--sound", arguments->sound_strings, "The files hold sound strings, as tokenize prints them");
  auto& decoding = arguments->decoding;
  command->add_option("--language", decoding.language, "Its code: en, de, zh... (default: recognised)");
  command->add_flag("--translate", arguments->translate, "Write in English whatever is spoken");
  command->add_flag("--timestamps", decoding.timestamps, "A line for each segment, with its times");
  command->add_option("--prompt", decoding.prompt, "Text that may have gone before: names and words to expect");
  command->add_flag("--fallback", arguments->fallback,
                    "Decode what repeats itself or was guessed again at higher temperatures, and leave silence out");
  command->add_flag("--json", arguments->as_json, "A line of JSON for each file: language, text, segments");
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  command->callback([arguments] { transcribe(*arguments); });
}

}  // namespace ichigo
