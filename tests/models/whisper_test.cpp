// The Whisper modules against openai-whisper's answers, and their three file formats against one another.
#include "models/whisper.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "audio/log_mel.h"
#include "base/error.h"
#include "golden.h"
#include "temporary_folder.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

double difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
}

// What whisper.pad_or_trim gives for the clip's log-mel.
at::Tensor padded_mel(const at::Tensor& audio) {
  const auto* data = audio.const_data_ptr<float>();
  const at::Tensor mel = log_mel({data, static_cast<size_t>(audio.numel())}).slice(1, 0, 3000);
  return at::constant_pad_nd(mel, {0, 3000 - mel.size(1)}, 0).unsqueeze(0);
}

std::map<std::string, at::Tensor> all_tensors(const Whisper& model) {
  std::map<std::string, at::Tensor> tensors;
  auto add = [&](const std::string& prefix, const torch::nn::Module& module) {
    for (const auto& item : module.named_parameters()) tensors[prefix + item.key()] = item.value();
    for (const auto& item : module.named_buffers()) tensors[prefix + item.key()] = item.value();
  };
  add("encoder.", *model.encoder);
  if (model.decoder) add("decoder.", *model.decoder);
  return tensors;
}

class WhisperGolden : public testing::TestWithParam<std::string> {};

TEST_P(WhisperGolden, FeaturesAndLogitsAreTheOriginals) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  ICHIGO_GOLDEN_OR_SKIP(clip, concat("whisper/", GetParam(), ".safetensors"));
  const at::NoGradGuard no_grad;
  const Whisper model = load_whisper(weights);
  const auto golden = open_safetensors(clip);
  const at::Tensor features = model.encoder->forward(padded_mel(golden->load("audio")));
  EXPECT_LE(difference(features.slice(1, 0, std::nullopt, 50), golden->load("features_every_50th")), 2e-3);
  const at::Tensor logits = model.decoder->forward(golden->load("tokens"), features);
  EXPECT_LE(difference(logits.select(1, -1), golden->load("logits_last")), 2e-3);
}

INSTANTIATE_TEST_SUITE_P(Clips, WhisperGolden, testing::ValuesIn(test::golden_names("whisper", ".safetensors")),
                         [](const auto& info) { return test::test_name(info.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WhisperGolden);

TEST(Whisper, FormatsHoldTheSameWeights) {
  ICHIGO_GOLDEN_OR_SKIP(openai, "whisper/tiny-random.pt");
  ICHIGO_GOLDEN_OR_SKIP(bare, "whisper/tiny-random_encoder_only.pt");
  ICHIGO_GOLDEN_OR_SKIP(hugging_face, "whisper/hugging_face");
  const Whisper model = load_whisper(openai);
  EXPECT_EQ(model.config.n_audio_head, 2);
  EXPECT_EQ(model.config.n_audio_layer, 3);
  EXPECT_EQ(model.config.n_text_layer, 2);
  EXPECT_EQ(model.config.n_vocab, 51865);
  EXPECT_TRUE(model.config.multilingual());
  const auto tensors = all_tensors(model);
  ASSERT_GT(tensors.size(), 80U);
  const auto transformers = all_tensors(load_whisper(hugging_face));
  ASSERT_EQ(transformers.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(at::equal(tensor, transformers.at(name))) << name;
  const Whisper encoder_only = load_whisper(bare);
  EXPECT_EQ(encoder_only.decoder, nullptr);
  for (const auto& [name, tensor] : all_tensors(encoder_only)) EXPECT_TRUE(at::equal(tensor, tensors.at(name))) << name;
}

TEST(Whisper, BFloat16IsClose) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random_encoder_only.pt");
  ICHIGO_GOLDEN_OR_SKIP(clip, "whisper/human_2.safetensors");
  const at::NoGradGuard no_grad;
  const at::Tensor mel = padded_mel(open_safetensors(clip)->load("audio"));
  const at::Tensor exact = load_whisper(weights).encoder->forward(mel);
  const at::Tensor rounded = load_whisper(weights, at::kBFloat16).encoder->forward(mel);
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  EXPECT_LE(((rounded.to(at::kFloat) - exact).norm() / exact.norm()).item<double>(), 0.02);
}

TEST(Whisper, CachedDecodingIsWholeDecoding) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  const at::NoGradGuard no_grad;
  const Whisper model = load_whisper(weights);
  at::manual_seed(7);
  const at::Tensor features = at::randn({2, 20, model.config.n_text_state});
  const at::Tensor tokens = at::randint(model.config.n_vocab, {2, 9}, at::kLong);
  const at::Tensor whole = model.decoder->forward(tokens, features);
  WhisperCache cache;
  std::vector<at::Tensor> parts;
  for (const auto& [start, count] : {std::pair{0, 4}, {4, 1}, {5, 3}, {8, 1}}) {
    parts.push_back(model.decoder->forward(tokens.narrow(1, start, count), features, &cache));
  }
  EXPECT_EQ(cache.length, 9);
  EXPECT_LE(difference(at::cat(parts, 1), whole), 1e-4);
}

// The frozen encoder feeds several worker threads.
TEST(Whisper, EncoderServesSeveralThreads) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random_encoder_only.pt");
  const Whisper model = load_whisper(weights);
  at::manual_seed(3);
  std::vector<at::Tensor> mels, expected, got(4);
  const at::NoGradGuard no_grad;
  for (int i = 0; i < 4; ++i) {
    mels.push_back(at::randn({1, 80, 200 + 20 * i}));
    expected.push_back(model.encoder->forward(mels.back()));
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const at::NoGradGuard quiet;
      for (int k = 0; k < 5; ++k) got[i] = model.encoder->forward(mels[i]);
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < 4; ++i) EXPECT_LE(difference(got[i], expected[i]), 1e-5) << i;
}

TEST(Whisper, GradientsReachTheFeatures) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "whisper/tiny-random.pt");
  const Whisper model = load_whisper(weights);
  const at::Tensor features = at::randn({1, 6, model.config.n_text_state}).requires_grad_(true);
  model.decoder->forward(at::arange(4).unsqueeze(0), features).logsumexp(-1).sum().backward();
  EXPECT_GT(features.grad().abs().max().item<double>(), 0);
  for (const auto& parameter : model.decoder->parameters()) EXPECT_FALSE(parameter.requires_grad());
}

class WhisperFiles : public testing::Test {
 protected:
  // A 16 wide Whisper encoder of one block.
  static std::vector<TensorToWrite> encoder_tensors() {
    WhisperConfig config{.n_mels = 4, .n_audio_ctx = 10, .n_audio_state = 16, .n_audio_head = 1, .n_audio_layer = 1};
    const WhisperEncoder encoder(config);
    std::vector<TensorToWrite> tensors;
    for (const auto& item : encoder.named_parameters()) {
      tensors.push_back({"encoder." + item.key(), at::randn(item.value().sizes()), std::nullopt});
    }
    return tensors;
  }
  static std::string error_of(const std::vector<TensorToWrite>& tensors) {
    const TemporaryFolder folder;
    write_safetensors(folder / "whisper.safetensors", tensors);
    return test::error_of([&] { load_whisper(folder / "whisper.safetensors"); });
  }
};

TEST_F(WhisperFiles, MissingAndMisshapenTensorsAreNamed) {
  const auto whole = encoder_tensors();
  EXPECT_EQ(error_of(whole), "");
  for (size_t i = 0; i < whole.size(); ++i) {
    auto tensors = whole;
    tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i));
    // Without the tensor that tells how many blocks there are, the file has none.
    if (whole[i].name == "encoder.blocks.0.attn_ln.weight") {
      EXPECT_NE(error_of(tensors).find("n_audio_layer"), std::string::npos) << error_of(tensors);
    } else {
      EXPECT_NE(error_of(tensors).find(whole[i].name), std::string::npos) << error_of(tensors);
    }
    if (whole[i].name == "encoder.conv1.weight") continue;
    tensors = whole;
    tensors[i] = {tensors[i].name, at::randn({3, 5})};
    EXPECT_NE(error_of(tensors).find("encoder."), std::string::npos) << whole[i].name;
    EXPECT_NE(error_of(tensors).find("[3, 5]"), std::string::npos) << error_of(tensors);
  }
}

TEST(Whisper, RefusesOddOrTooManyFrames) {
  WhisperConfig config{.n_mels = 4, .n_audio_ctx = 10, .n_audio_state = 16, .n_audio_head = 1, .n_audio_layer = 1};
  WhisperEncoder encoder(config);
  EXPECT_THROW(encoder.forward(at::zeros({1, 4, 7})), Error);
  EXPECT_THROW(encoder.forward(at::zeros({1, 4, 22})), Error);
  EXPECT_THROW(encoder.forward(at::zeros({1, 5, 8})), Error);
  EXPECT_THROW(encoder.forward(at::zeros({1, 4, 0})), Error);
  EXPECT_EQ(encoder.forward(at::zeros({2, 4, 8})).sizes(), (std::vector<int64_t>{2, 4, 16}));
  config.n_audio_head = 3;
  EXPECT_THROW(config.validate(), Error);
}

}  // namespace
}  // namespace ichigo
