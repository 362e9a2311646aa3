#include "cli/talk.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>

#include "assistant/talk.h"
#include "audio/sound_card.h"
#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "cli/options.h"

namespace ichigo {
namespace {

struct Arguments {
  std::string input, output, voice, microphone, loudspeaker, model;
  bool realtime = false, list_devices = false;
  int threads = 0;
  EarFiles ear;
  AudioLimits limits;
  TalkConfig talk;
  ConversationConfig config;
};

class ConversationPartner : public TalkPartner {
 public:
  explicit ConversationPartner(Conversation& conversation) : conversation_(conversation) {}
  void hear(std::span<const float> samples) override { conversation_.hear(samples); }
  Reply reply_so_far(const TextSink& sink, const std::function<bool()>& go_on) override {
    return conversation_.reply_so_far(sink, go_on);
  }
  void accept_reply() override { conversation_.accept_reply(); }
  void drop_speech() override { conversation_.drop_speech(); }
  void keep_of_last_answer(size_t bytes) override { conversation_.keep_of_last_answer(bytes); }
  std::string heard(const std::function<bool()>& go_on) override { return conversation_.heard(go_on); }

 private:
  Conversation& conversation_;
};

void list_devices() {
  const auto devices = sound_devices();
  for (const auto& device : devices) {
    std::printf("%2d  %s: %d in%s, %d out%s, %.0f Hz\n", device.index, device.name.c_str(), device.inputs,
                device.default_input ? " (default)" : "", device.outputs, device.default_output ? " (default)" : "",
                device.rate);
  }
  if (devices.empty()) std::printf("this machine has no sound card\n");
}

void print_turn(const TalkTurn& turn) {
  const auto milliseconds = [](double seconds) { return std::llround(seconds * 1000); };
  const char* end = turn.interrupted ? " --" : turn.reply.cut_off ? " ..." : "";
  const std::string withdrawn = turn.withdrawn > 0 ? concat(", replies withdrawn: ", turn.withdrawn) : "";
  std::printf("%s\n%s\n", end,
              concat("heard: \"", turn.heard, "\" | after the end of speech: first token ",
                     milliseconds(turn.first_token), " ms, shown ", milliseconds(turn.shown), " ms", withdrawn)
                  .c_str());
  std::fflush(stdout);
}

void talk(const Arguments& arguments) {
  if (arguments.list_devices) {
    list_devices();
    return;
  }
  // What can be missing is looked for before the model is loaded, and voices must be opened before it.
  std::vector<float> recording;
  if (!arguments.input.empty()) recording = read_audio(arguments.input, arguments.limits);
  std::unique_ptr<TextToSpeech> voice;
  if (!arguments.voice.empty()) voice = open_voice(arguments.voice);
  std::unique_ptr<SoundOutput> output;
  if (!arguments.output.empty()) {
    require(!same_file(arguments.output, arguments.input), arguments.output,
            " is the recording that is to be heard: name another file for what is said");
    output = std::make_unique<FileOutput>(arguments.output);
  } else if (voice != nullptr) {
    output = open_loudspeaker(arguments.loudspeaker);
  }
  if (arguments.input.empty()) open_microphone(arguments.microphone);  // closed again: nobody listens yet
  set_threads(arguments.threads);
  const auto folder = find_model(arguments.model);
  Conversation conversation(load_hearing_model(folder, arguments.ear), arguments.config);

  ConversationPartner partner(conversation);
  std::unique_ptr<SoundSource> source;
  if (arguments.input.empty()) {
    source = open_microphone(arguments.microphone);
    std::fprintf(stderr, "listening: speak, and end with Ctrl-C\n");
  } else {
    source = std::make_unique<FileSource>(std::move(recording), arguments.realtime);
  }
  const TalkSinks sinks{[](std::string_view piece) {
                          std::fwrite(piece.data(), 1, piece.size(), stdout);
                          std::fflush(stdout);
                        },
                        print_turn,
                        [](const std::string& what) { std::fprintf(stderr, "ichigo: %s\n", what.c_str()); }};
  Talk talk(partner, *source, arguments.talk, sinks);
  if (voice != nullptr) talk.speak_with(*voice, *output);
  install_interrupt_handler();
  talk.run(interrupted);
}

}  // namespace

void add_talk_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("talk", "Talk with the assistant through the microphone, or play it a recording");
  auto* input = command->add_option("--input", arguments->input,
                                    "A recording in the microphone's place, with pauses between the questions");
  command->add_flag("--realtime", arguments->realtime, "The recording at its own pace, not as fast as possible")
      ->needs(input);
  auto* voice = command->add_option("--voice", arguments->voice,
                                    "Speak the answers: espeak:NAME, flite:kal16, awb, rms or slt, command:LINE");
  auto* output = command->add_option("--output", arguments->output,
                                     "Speak into this WAV or FLAC file, in time with what is heard");
  output->needs(voice);
  command->add_flag("--barge-in", arguments->talk.barge_in,
                    "Listen while the voice sounds, so that it can be interrupted (with headphones)");
  command->add_option("--model", arguments->model,
                      "Folder of the model, or a GGUF file (default: $ICHIGO_MODEL or models/mini)");
  command
      ->add_option("--end-delay", arguments->talk.activity.end_delay,
                   "Seconds of silence after which a question has ended")
      ->check(CLI::Range(0.1, 10.0))
      ->capture_default_str();
  command->add_option("--microphone", arguments->microphone, "Number or part of the name (default: the system's)")
      ->excludes(input);
  command->add_option("--loudspeaker", arguments->loudspeaker, "Number or part of the name (default: the system's)")
      ->needs(voice)
      ->excludes(output);
  command->add_flag("--list-devices", arguments->list_devices, "Say what microphones and loudspeakers there are");
  add_ear_options(*command, arguments->ear);
  add_threads_option(*command, arguments->threads);
  add_max_seconds_option(*command, arguments->limits.max_seconds);
  add_generation_options(*command, arguments->config);
  command->callback([arguments] {
    auto& activity = arguments->talk.activity;
    activity.pause_delay = std::min(activity.pause_delay, activity.end_delay);
    talk(*arguments);
  });
}

}  // namespace ichigo
