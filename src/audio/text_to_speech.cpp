#include "audio/text_to_speech.h"

#include <utility>

#include "audio/voices.h"
#include "base/error.h"

namespace ichigo {
namespace {

class LibraryVoice : public TextToSpeech {
 public:
  explicit LibraryVoice(std::string name) : name_(std::move(name)) { speak("a"); }

  Audio speak(const std::string& text, const VoiceSettings& settings = {}) override {
    require(settings.rate > 0 && settings.pitch > 0, "voice ", name_, ": rate ", settings.rate, " and pitch ",
            settings.pitch, " must be positive");
    require(text.find_first_not_of(" \t\r\n") != std::string::npos, "voice ", name_, " was given an empty text");
    require(text.find('\0') == std::string::npos, "voice ", name_,
            " was given a text with a zero byte, where it would end");
    return speak_in_worker(name_, text, settings);
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<TextToSpeech> open_voice(const std::string& name) {
  if (name.starts_with("command:")) return open_command_voice(name, name.substr(8));
  require(name.starts_with("espeak:") || name.starts_with("flite:"), "unknown voice \"", name,
          "\": expected espeak:NAME, flite:kal16, awb, rms or slt, or command:LINE");
  try {
    return std::make_unique<LibraryVoice>(name);
  } catch (const Error& error) {
    fail("there is no voice \"", name, "\" here (", error.what(), ")");
  }
}

}  // namespace ichigo
