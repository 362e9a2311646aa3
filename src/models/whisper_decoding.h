// Greedy recognition with Whisper by its token rules (openai-whisper decoding.py, temperature 0).
#pragma once
#include <span>
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

// Where whisper_transcribe spends its time, in milliseconds.
struct WhisperTiming {
  double mel = 0, encode = 0, decode = 0;
};

// 16 kHz samples of any length -> text: windows of 30 s, longer audio split at the quietest point near 29 s.
std::string whisper_transcribe(const Whisper& model, const WhisperVocabulary& vocabulary,
                               std::span<const float> samples, const WhisperDecodingOptions& options = {},
                               WhisperTiming* timing = nullptr);

}  // namespace ichigo
