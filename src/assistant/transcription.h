// Recordings of any length to text with Whisper: windows, falling back to higher temperatures, segments with times
// (openai-whisper transcribe.py). Not here: the rules of one window's tokens (models/whisper_decoding).
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/sound_tokenizer.h"
#include "models/whisper_decoding.h"

namespace ichigo {

struct TranscriptionOptions {
  WhisperDecodingOptions decoding{.language = ""};
  // Tried in turn until a window's text passes the thresholds.
  std::vector<double> temperatures = {0};
  bool leave_out_silence = false;  // a window that is silence by the thresholds has no text
  // openai-whisper's: a text that zlib packs tighter repeats itself, one whose mean log-probability is lower was
  // guessed; with a no-speech probability above, such a window is silence.
  double compression_ratio = 2.4, average_logprob = -1.0, no_speech_probability = 0.6;

  // Temperatures 0, 0.2 ... 1, and no text for silence.
  static TranscriptionOptions with_fallback();
};

struct Segment {
  double begin = 0, end = 0;  // seconds
  std::string text;
};

struct Transcript {
  std::string language, text;     // the language of the first window with text
  std::vector<Segment> segments;  // one for each window, or with timestamps what lies between them
};

// Where the time goes, in milliseconds.
struct TranscriptionTiming {
  double mel = 0, encode = 0, decode = 0;
};

// Whisper and the vocabulary to read its tokens with.
struct Recogniser {
  Whisper whisper;
  WhisperVocabulary vocabulary;
  // 16 kHz samples of any length -> what was said, in windows of 30 s, longer audio split at the quietest point near
  // 29 s. Other languages than English are recognised by multilingual models.
  Transcript transcribe(std::span<const float> samples, const TranscriptionOptions& options = {},
                        TranscriptionTiming* timing = nullptr) const;
  // Sound codes of one window -> text: the r2t half of Ichigo-ASR. The bottleneck must have its output blocks.
  std::string read_codes(Bottleneck& bottleneck, const std::vector<int>& codes,
                         const WhisperDecodingOptions& options = {.language = ""}) const;
  // The same of a recording that `tokenizer` hears, longer audio cut at the quietest point near 20 s (kReadingPauses).
  std::string transcribe_through_codes(const SoundTokenizer& tokenizer, std::span<const float> samples,
                                       const WhisperDecodingOptions& options = {.language = ""}) const;
};

// A folder with Whisper's weights in any known format and its tokenizer.json; computes in float32. Throws Error.
Recogniser load_recogniser(const std::filesystem::path& folder);

// How many times zlib makes the text smaller (openai-whisper's measure of repetition); 0 for no text.
double compression_ratio(const std::string& text);
enum class Verdict { kAccepted, kTryAgain, kSilence };
// Whether a window's text stands. Silence is never tried again.
Verdict judge(const WhisperDecodingResult& result, const TranscriptionOptions& options);

struct TimedTokens {
  double begin = 0, end = 0;  // seconds from the window's beginning
  std::vector<int64_t> ids;
};
// The text tokens between timestamps; what has no timestamp before or behind it reaches to the window's bounds.
std::vector<TimedTokens> split_at_timestamps(const std::vector<int64_t>& tokens, const WhisperVocabulary& vocabulary,
                                             double window_seconds);

}  // namespace ichigo
