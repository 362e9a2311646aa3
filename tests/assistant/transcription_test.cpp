#include "assistant/transcription.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden.h"

namespace ichigo {
namespace {

TEST(Transcription, CompressionRatioIsPythons) {
  EXPECT_EQ(compression_ratio(""), 0);
  // len(text.encode()) / len(zlib.compress(text.encode()))
  EXPECT_NEAR(compression_ratio("The quick brown fox jumps over the lazy dog."), 44.0 / 51, 1e-9);
  std::string repeated;
  for (int i = 0; i < 30; ++i) repeated += "Thank you. ";
  EXPECT_NEAR(compression_ratio(repeated), 330.0 / 24, 1e-9);
}

TEST(Transcription, JudgesAsOpenaiWhisperDoes) {
  const auto options = TranscriptionOptions::with_fallback();
  EXPECT_EQ(options.temperatures.size(), 6U);
  std::string repeated;
  for (int i = 0; i < 30; ++i) repeated += "Thank you. ";
  EXPECT_EQ(judge({"en", "Hello there.", {}, -0.4, 0.1}, options), Verdict::kAccepted);
  EXPECT_EQ(judge({"en", "Hello there.", {}, -1.4, 0.1}, options), Verdict::kTryAgain);
  EXPECT_EQ(judge({"en", "Hello there.", {}, -1.4, 0.9}, options), Verdict::kSilence);
  EXPECT_EQ(judge({"en", "Hello there.", {}, -0.4, 0.9}, options), Verdict::kAccepted);
  EXPECT_EQ(judge({"en", repeated, {}, -0.1, 0.9}, options), Verdict::kTryAgain);
  // With one temperature there is nothing to fall back to: greedy recognition stands.
  EXPECT_EQ(judge({"en", repeated, {}, -2, 0.9}, TranscriptionOptions{}), Verdict::kAccepted);
  // The cascade must not answer what Whisper makes out of silence.
  const TranscriptionOptions cascade{.leave_out_silence = true};
  EXPECT_EQ(judge({"en", "Thank you.", {}, -1.4, 0.9}, cascade), Verdict::kSilence);
  EXPECT_EQ(judge({"en", repeated, {}, -1.4, 0.1}, cascade), Verdict::kAccepted);
}

TEST(Transcription, SplitsAtTimestamps) {
  const WhisperVocabulary vocabulary(51865);
  const int64_t zero = vocabulary.timestamp_begin();
  const auto at = [&](double seconds) { return zero + std::llround(seconds * 50); };
  auto pieces = split_at_timestamps({at(0), 5, 6, at(1.5), at(2), 7, at(3), at(3), 8}, vocabulary, 4);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[0].ids, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(pieces[1].ids, (std::vector<int64_t>{7}));
  EXPECT_DOUBLE_EQ(pieces[0].begin, 0);
  EXPECT_DOUBLE_EQ(pieces[0].end, 1.5);
  EXPECT_DOUBLE_EQ(pieces[1].begin, 2);
  EXPECT_DOUBLE_EQ(pieces[1].end, 3);
  EXPECT_DOUBLE_EQ(pieces[2].begin, 3);
  EXPECT_DOUBLE_EQ(pieces[2].end, 4);
  pieces = split_at_timestamps({5, 6}, vocabulary, 2.5);
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_DOUBLE_EQ(pieces[0].end, 2.5);
  EXPECT_TRUE(split_at_timestamps({at(0), at(9)}, vocabulary, 2.5).empty());
  // A timestamp behind the audio's end is its end.
  EXPECT_DOUBLE_EQ(split_at_timestamps({at(0), 5, at(9)}, vocabulary, 2.5)[0].end, 2.5);
}

TEST(Transcription, SamplesAreReproducibleAndFollowTheTemperature) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  const Whisper model = load_whisper(weights);
  const WhisperVocabulary vocabulary(model.config.n_vocab);
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const at::Tensor features = at::randn({1, 1500, model.config.n_audio_state});
  WhisperDecodingOptions options{.sample_length = 20};
  const auto greedy = whisper_decode_tokens(model, vocabulary, features, options);
  options.temperature = 1e-4;
  EXPECT_EQ(whisper_decode_tokens(model, vocabulary, features, options).tokens, greedy.tokens);
  options.temperature = 1;
  const auto drawn = whisper_decode_tokens(model, vocabulary, features, options);
  EXPECT_NE(drawn.tokens, greedy.tokens);
  EXPECT_EQ(whisper_decode_tokens(model, vocabulary, features, options).tokens, drawn.tokens);
  options.seed = 2;
  EXPECT_NE(whisper_decode_tokens(model, vocabulary, features, options).tokens, drawn.tokens);
}

}  // namespace
}  // namespace ichigo
