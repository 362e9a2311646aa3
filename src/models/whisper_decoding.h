// One window's recognition with Whisper by its token rules (openai-whisper decoding.py), greedy or sampled.
#pragma once
#include <string>
#include <vector>

#include "models/whisper.h"
#include "text/whisper_vocabulary.h"

namespace ichigo {

struct WhisperDecodingOptions {
  std::string language = "en";  // "" detects it (multilingual models)
  std::string task = "transcribe";
  bool timestamps = false;
  std::string prompt;           // text of the previous window
  int64_t sample_length = 224;  // at most this many tokens
  double temperature = 0;       // 0: always the likeliest token
  uint64_t seed = 1;            // of what is drawn at higher ones
};

struct WhisperDecodingResult {
  std::string language, text;
  std::vector<int64_t> tokens;
  double average_logprob = 0, no_speech_probability = 0;
};

// features: encoder output [1, frames, state]. Throws Error when the file had no decoder, or its vocabulary no
// tokenizer.
WhisperDecodingResult whisper_decode(const Whisper& model, const WhisperVocabulary& vocabulary,
                                     const at::Tensor& features, const WhisperDecodingOptions& options = {});

// The same without text, for which no tokenizer is needed: `prompt` replaces options.prompt, and text stays empty.
WhisperDecodingResult whisper_decode_tokens(const Whisper& model, const WhisperVocabulary& vocabulary,
                                            const at::Tensor& features, const WhisperDecodingOptions& options = {},
                                            const std::vector<int64_t>& prompt = {});

}  // namespace ichigo
