#include "assistant/transcription.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include "audio/audio_file.h"
#include "audio/log_mel.h"
#include "audio/pauses.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "text/trim.h"

namespace ichigo {
namespace {

WhisperDecodingResult decode_with_fallback(const Recogniser& recogniser, const at::Tensor& features,
                                           const TranscriptionOptions& options, Verdict& verdict) {
  WhisperDecodingResult result;
  for (const double temperature : options.temperatures) {
    WhisperDecodingOptions decoding = options.decoding;
    decoding.temperature = temperature;
    result = whisper_decode(recogniser.whisper, recogniser.vocabulary, features, decoding);
    verdict = judge(result, options);
    if (verdict != Verdict::kTryAgain) break;
  }
  return result;
}

}  // namespace

TranscriptionOptions TranscriptionOptions::with_fallback() {
  TranscriptionOptions options;
  options.temperatures = {0, 0.2, 0.4, 0.6, 0.8, 1};
  options.leave_out_silence = true;
  return options;
}

double compression_ratio(const std::string& text) {
  if (text.empty()) return 0;
  uLongf size = compressBound(text.size());
  std::vector<Bytef> packed(size);
  require(compress(packed.data(), &size, reinterpret_cast<const Bytef*>(text.data()), text.size()) == Z_OK,
          "zlib cannot compress a text of ", text.size(), " bytes");
  return static_cast<double>(text.size()) / static_cast<double>(size);
}

Verdict judge(const WhisperDecodingResult& result, const TranscriptionOptions& options) {
  const bool guessed = result.average_logprob < options.average_logprob;
  const bool silence = guessed && result.no_speech_probability > options.no_speech_probability;
  if (silence && options.leave_out_silence) return Verdict::kSilence;
  if (options.temperatures.size() < 2) return Verdict::kAccepted;
  const bool repeats = compression_ratio(result.text) > options.compression_ratio;
  return guessed || repeats ? Verdict::kTryAgain : Verdict::kAccepted;
}

std::vector<TimedTokens> split_at_timestamps(const std::vector<int64_t>& tokens, const WhisperVocabulary& vocabulary,
                                             double window_seconds) {
  std::vector<TimedTokens> pieces;
  TimedTokens open;
  const auto close = [&](double end) {
    open.end = std::min(end, window_seconds);
    if (!open.ids.empty()) pieces.push_back(open);
    open = {open.end, window_seconds, {}};
  };
  for (const int64_t id : tokens) {
    if (vocabulary.is_timestamp(id)) {
      close(vocabulary.timestamp_seconds(id));
    } else if (vocabulary.is_text(id)) {
      open.ids.push_back(id);
    }
  }
  close(window_seconds);
  return pieces;
}

Transcript Recogniser::transcribe(std::span<const float> samples, const TranscriptionOptions& options,
                                  TranscriptionTiming* timing) const {
  const at::NoGradGuard no_grad;
  require(!options.temperatures.empty(), "a transcription needs a temperature to decode at");
  Transcript transcript;
  TranscriptionTiming spent;
  if (samples.empty()) return transcript;
  for (const auto heard : hearing_windows(samples)) {
    std::vector<float> window(heard.begin(), heard.end());
    window.resize(kWindowFrames * kHop);
    Stopwatch watch;
    const at::Tensor mel = log_mel(window, static_cast<int>(whisper.config.n_mels)).unsqueeze(0);
    spent.mel += watch.lap();
    const at::Tensor features = whisper.encoder->forward(mel);
    spent.encode += watch.lap();
    Verdict verdict{};
    const auto result = decode_with_fallback(*this, features, options, verdict);
    spent.decode += watch.lap();
    if (verdict == Verdict::kSilence || result.text.empty()) continue;
    if (transcript.text.empty()) transcript.language = result.language;
    transcript.text += (transcript.text.empty() ? "" : " ") + result.text;
    const double begin = static_cast<double>(heard.data() - samples.data()) / kSampleRate;
    const double length = static_cast<double>(heard.size()) / kSampleRate;
    for (const TimedTokens& piece : split_at_timestamps(result.tokens, vocabulary, length)) {
      transcript.segments.push_back(
          {begin + piece.begin, begin + piece.end, std::string(trimmed(vocabulary.decode(piece.ids)))});
    }
  }
  if (timing != nullptr) *timing = spent;
  return transcript;
}

std::string Recogniser::read_codes(Bottleneck& bottleneck, const std::vector<int>& codes,
                                   const WhisperDecodingOptions& options) const {
  const at::NoGradGuard no_grad;
  require(!codes.empty(), "there are no sound codes to read");
  const auto known = bottleneck.config().codebook_rows;
  for (const int code : codes) {
    require(code < known, "the sound code ", code, " is not one of the tokenizer's ", known);
  }
  return whisper_decode(whisper, vocabulary, bottleneck.dequantize(at::tensor(codes, at::kLong)), options).text;
}

std::string Recogniser::transcribe_through_codes(const SoundTokenizer& tokenizer, std::span<const float> samples,
                                                 const WhisperDecodingOptions& options) const {
  std::string text;
  for (const auto piece : pieces_at_pauses(samples, kReadingPauses)) {
    const auto codes = tokenizer.encode(piece);
    if (codes.empty()) continue;
    text += (text.empty() ? "" : " ") + read_codes(tokenizer.bottleneck(), codes, options);
  }
  return text;
}

Recogniser load_recogniser(const std::filesystem::path& folder) {
  require(std::filesystem::exists(folder), folder.string(), " does not exist");
  const auto tokenizer = folder / "tokenizer.json";
  require(std::filesystem::exists(tokenizer), folder.string(), " is not a Whisper folder: it has no tokenizer.json");
  Whisper whisper = load_whisper(folder);
  require(whisper.decoder != nullptr, folder.string(), " holds only Whisper's encoder: it can hear, but not write");
  const int64_t size = whisper.config.n_vocab;
  return {std::move(whisper), WhisperVocabulary(size, BytePairTokenizer::from_file(tokenizer))};
}

}  // namespace ichigo
