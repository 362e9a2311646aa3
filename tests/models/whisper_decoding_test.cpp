// Greedy recognition against openai-whisper's answers under its five option sets.
#include "models/whisper_decoding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "audio/log_mel.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "models/sound_tokenizer.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

// " Hello there." in the multilingual vocabulary.
const std::vector<int64_t> kHelloThere = {2425, 456, 13};

WhisperDecodingOptions options_of(const std::string& name) {
  WhisperDecodingOptions options;
  options.sample_length = 40;
  if (name == "timestamps") options.timestamps = true;
  if (name == "auto") options.language = "", options.timestamps = true;
  if (name == "translate") options.language = "fr", options.task = "translate";
  return options;
}

class WhisperDecoding : public testing::TestWithParam<std::string> {};

TEST_P(WhisperDecoding, TokensAreTheOriginals) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  ICHIGO_GOLDEN_OR_SKIP(clip, concat("whisper/", GetParam(), ".safetensors"));
  ICHIGO_GOLDEN_OR_SKIP(answers, concat("whisper/", GetParam(), ".decode.json"));
  const at::NoGradGuard no_grad;
  static const Whisper model = load_whisper(weights);
  const WhisperVocabulary vocabulary(model.config.n_vocab);
  const at::Tensor audio = open_safetensors(clip)->load("audio");
  const at::Tensor mel = log_mel({audio.const_data_ptr<float>(), static_cast<size_t>(audio.numel())}).slice(1, 0, 3000);
  const at::Tensor features = model.encoder->forward(at::constant_pad_nd(mel, {0, 3000 - mel.size(1)}, 0).unsqueeze(0));
  const auto golden = nlohmann::json::parse(read_file(answers));
  ASSERT_EQ(golden.size(), 5U);
  for (const auto& [name, answer] : golden.items()) {
    SCOPED_TRACE(name);
    const auto prompt = name == "prompt" ? kHelloThere : std::vector<int64_t>{};
    const auto result = whisper_decode_tokens(model, vocabulary, features, options_of(name), prompt);
    EXPECT_EQ(result.language, answer["language"].get<std::string>());
    const auto tokens = answer["tokens"].get<std::vector<int64_t>>();
    const size_t robust = answer["robust_prefix"].get<size_t>();
    ASSERT_LE(robust, tokens.size());
    ASSERT_GE(result.tokens.size(), robust);
    for (size_t i = 0; i < robust; ++i) ASSERT_EQ(result.tokens[i], tokens[i]) << i;
    EXPECT_NEAR(result.no_speech_probability, answer["no_speech_prob"].get<double>(), 1e-5);
    if (result.tokens == tokens) {
      EXPECT_NEAR(result.average_logprob, answer["avg_logprob"].get<double>(), 1e-3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Clips, WhisperDecoding, testing::ValuesIn(test::golden_names("whisper", ".decode.json")),
                         [](const auto& info) { return test::test_name(info.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WhisperDecoding);

// Whisper's decoder reads what the sound tokenizer heard.
TEST(WhisperDecodingOfCodes, TextIsTheOriginals) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(clip, "whispervq/seven_language.human_1.safetensors");
  const at::NoGradGuard no_grad;
  const Whisper model = load_whisper(weights);
  const auto golden = open_safetensors(clip);
  const at::Tensor features = load_bottleneck(tokenizer)->dequantize(golden->load("codes"));
  const at::Tensor text = golden->load("text_tokens");
  const WhisperDecodingOptions options{.language = "", .timestamps = true, .sample_length = text.numel()};
  const auto result = whisper_decode_tokens(model, WhisperVocabulary(model.config.n_vocab), features, options);
  EXPECT_TRUE(at::equal(at::tensor(result.tokens), text)) << at::tensor(result.tokens) << text;
}

TEST(WhisperDecodingErrors, SaysWhatIsMissing) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random_encoder_only.pt");
  const Whisper model = load_whisper(weights);
  const WhisperVocabulary vocabulary(51865);
  EXPECT_THROW(whisper_decode_tokens(model, vocabulary, at::zeros({1, 1500, 128})), Error);
}

}  // namespace
}  // namespace ichigo
