// Between text_to_speech.cpp and the voice libraries; nobody else includes it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audio/text_to_speech.h"

namespace ichigo {

struct Pcm {
  std::vector<int16_t> samples;
  int rate = 0;
};

// The libraries keep global state (espeak's flutter phase, the C library's rand() in both), so these must run in a
// process where nothing was spoken before: speech_worker.cpp sees to that. Empty samples: the voice is unknown or
// nothing came out.
void prepare_voices();
Pcm speak_with_library(const std::string& voice, const std::string& text, const VoiceSettings& settings);

// Splits the worker off now, if it was not yet: always before this process uses espeak-ng itself.
void start_worker();
// Speaks in a fresh process: any number of threads at once, always the same samples for the same arguments.
// Throws Error naming voice and text when nothing comes out.
Audio speak_in_worker(const std::string& voice, const std::string& text, const VoiceSettings& settings);

std::unique_ptr<TextToSpeech> open_command_voice(const std::string& name, const std::string& command);

}  // namespace ichigo
