// The computer's microphone and loudspeaker, through PortAudio. Samples pass between its callback's thread and ours
// through rings that the callback never waits for; it does nothing else.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "audio/sound_stream.h"

namespace ichigo {

struct SoundDevice {
  int index;
  std::string name;
  int inputs, outputs;  // channels
  double rate;          // Hz, its own
  bool default_input, default_output;
};
// Every device of this machine; empty where there is no sound card.
std::vector<SoundDevice> sound_devices();

// `device` in both: its number, a part of its name, or "" for the default one. Throws Error when there is no such
// device or it cannot be opened. A device that knows no 16 kHz is used at its own rate and resampled.
std::unique_ptr<SoundSource> open_microphone(const std::string& device = {});
std::unique_ptr<SoundOutput> open_loudspeaker(const std::string& device = {});

}  // namespace ichigo
