// Where the time between the end of the speech and the first token of the answer goes. All in milliseconds. Of speech
// that was heard while it went on, mel, encode and prefill are what was left to do after its end.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ichigo {

struct AnswerTiming {
  double load = 0;            // reading the audio file and the models
  double mel = 0;             // log-mel spectrogram
  double encode = 0;          // Whisper's encoder, and the quantiser of the fused model
  double recognise = 0;       // the cascade only: Whisper's decoder
  double prefill = 0;         // the whole prompt through the decoder
  double first_step = 0;      // the first token out of the prompt's last state
  double rest = 0;            // every further token
  double while_speaking = 0;  // before the end of the speech: part of no sum

  double first_token() const { return load + mel + encode + recognise + prefill + first_step; }
  double total() const { return first_token() + rest; }
  // "first token after 812 ms (load 640, mel 4, encode 38, prefill 110, first step 20)"
  std::string summary() const;
  // {"load":…,"mel":…,"encode":…,"prefill":…,"first_step":…,"first_token":…,"total":…}, "recognise" and
  // "while_speaking" where there is any.
  nlohmann::json to_json() const;
};

}  // namespace ichigo
