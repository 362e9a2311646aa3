// Voices for synthetic speech: espeak-ng and flite, in processes split off from this one, or any command line with
// {text} and {out}.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "audio/audio_file.h"

namespace ichigo {

// A voice is named by text: "espeak:en-us+f2", "espeak:en-gb+m3", "flite:kal16", "flite:awb", "flite:rms",
// "flite:slt", or "command:text2wave -eval '(voice_kal_diphone)' {text_file} -o {out}" ({text} is quoted for the
// shell, {text_file} names a temporary file with the text, {out} the WAV file to write).
struct VoiceSettings {
  double rate = 1.0;   // speaking rate, 1 = the voice's own
  double pitch = 1.0;  // relative pitch, where the voice can: espeak, flite kal16 and awb
};

class TextToSpeech {
 public:
  virtual ~TextToSpeech() = default;
  // Speech at the voice's own sample rate. Throws Error naming voice and text when nothing comes out.
  virtual Audio speak(const std::string& text, const VoiceSettings& settings = {}) = 0;
};

// Voices are safe to use from several threads and say the same text with the same samples every time: each utterance
// of a library runs in a process of its own, split off a small one that the first open_voice starts (so open voices
// before loading large models: that process keeps what memory there is then).
std::unique_ptr<TextToSpeech> open_voice(const std::string& name);

// espeak-ng's phonemes of an English text, one symbol for each phone, stress and length marks removed,
// words not separated: "hello world" -> {"h", "ə", "l", "oʊ", "w", "ɜ", "l", "d"}.
std::vector<std::string> espeak_phonemes(const std::string& text, const std::string& voice = "en-us");

}  // namespace ichigo
