// The sound tokenizer against WhisperSpeech's and Ichigo's answers, and our own files.
#include "models/sound_tokenizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "audio/log_mel.h"
#include "base/error.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

std::vector<float> to_samples(const at::Tensor& audio) {
  return {audio.const_data_ptr<float>(), audio.const_data_ptr<float>() + audio.numel()};
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.numel() ? (a - b).abs().max().item<double>() : 0;
}

std::map<std::string, at::Tensor> all_tensors(const Bottleneck& bottleneck) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& item : bottleneck.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : bottleneck.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

// The clips' answers of a model file: MODEL.CLIP.safetensors for MODEL.model, MODEL-fixed.model or MODEL.pth.
std::string model_of(const std::string& file) {
  const std::string stem = std::filesystem::path(file).stem();
  return stem.ends_with("-fixed") ? stem.substr(0, stem.size() - 6) : stem;
}

std::vector<std::string> model_files() {
  std::vector<std::string> files;
  for (const std::string ending : {".model", ".pth"}) {
    for (const auto& name : test::golden_names("whispervq", ending)) files.push_back(name + ending);
  }
  return files;
}

class WhisperVq : public testing::TestWithParam<std::string> {};

TEST_P(WhisperVq, CodesAndStatesAreTheOriginals) {
  const std::string name = model_of(GetParam());
  const auto clips = test::golden_names("whispervq", ".safetensors", name + ".");
  ICHIGO_GOLDEN_OR_SKIP(whisper, "whisper/tiny-random_encoder_only.pt");
  ICHIGO_GOLDEN_OR_SKIP(model, "whispervq/" + GetParam());
  const at::NoGradGuard no_grad;
  const SoundTokenizer tokenizer = SoundTokenizer::load(model, whisper);
  Bottleneck& bottleneck = tokenizer.bottleneck();
  ASSERT_FALSE(clips.empty());
  int64_t near_ties = 0, near_ties_right = 0;
  for (const std::string& clip : clips) {
    SCOPED_TRACE(clip);
    ICHIGO_GOLDEN_OR_SKIP(path, concat("whispervq/", name, ".", clip, ".safetensors"));
    const auto golden = open_safetensors(path);
    const std::vector<float> samples = to_samples(golden->load("audio"));
    const at::Tensor mel = log_mel(samples);
    const at::Tensor codes = golden->load("codes").to(at::kLong), margins = golden->load("margins");

    // The original hears 30 s at most; encode() goes on behind them.
    const at::Tensor pooled = bottleneck.pool(tokenizer.features(mel.slice(1, 0, 3000)));
    const at::Tensor projected = bottleneck.project(pooled);
    const at::Tensor ours = bottleneck.quantize(projected)[0].narrow(0, 0, codes.numel());
    if (samples.size() <= 480000) {
      const std::vector<int> encoded = tokenizer.encode(samples);
      ASSERT_EQ(static_cast<int64_t>(encoded.size()), codes.numel());
      for (size_t i = 0; i < encoded.size(); ++i) EXPECT_EQ(encoded[i], ours[i].item<int64_t>()) << i;
    } else {
      EXPECT_EQ(tokenizer.encode(samples).size(), samples.size() / 640);
    }
    const at::Tensor wrong = ours != codes, certain = margins > 3e-5;
    EXPECT_FALSE(at::logical_and(wrong, certain).any().item<bool>());
    near_ties += (~certain).sum().item<int64_t>();
    near_ties_right += at::logical_and(~wrong, ~certain).sum().item<int64_t>();
    if (golden->contains("pooled_plus_mlp_every_25th")) {
      EXPECT_LE(difference(pooled[0].slice(0, 0, std::nullopt, 25), golden->load("pooled_plus_mlp_every_25th")), 1e-4);
      EXPECT_LE(difference(projected[0].slice(0, 0, std::nullopt, 25), golden->load("projected_every_25th")), 1e-4);
    }
    if (golden->contains("dequantized_every_50th") && codes.numel() > 0) {
      const at::Tensor states = bottleneck.dequantize(codes)[0].slice(0, 0, std::nullopt, 50);
      EXPECT_LE(difference(states, golden->load("dequantized_every_50th")), 2e-3);
    }
  }
  EXPECT_GE(static_cast<double>(near_ties_right), 0.995 * static_cast<double>(near_ties));
}

INSTANTIATE_TEST_SUITE_P(Published, WhisperVq, testing::ValuesIn(model_files()),
                         [](const auto& info) { return test::test_name(info.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WhisperVq);

TEST(SoundTokenizer, BothSpellingsAreOneModel) {
  for (const std::string& name : test::golden_names("whispervq", "-fixed.model")) {
    ICHIGO_GOLDEN_OR_SKIP(old_spelling, concat("whispervq/", name, ".model"));
    ICHIGO_GOLDEN_OR_SKIP(new_spelling, concat("whispervq/", name, "-fixed.model"));
    const auto a = all_tensors(*load_bottleneck(old_spelling)), b = all_tensors(*load_bottleneck(new_spelling));
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [key, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(key))) << key;
  }
}

SoundTokenizerConfig small_config() {
  SoundTokenizerConfig config;
  config.codes = config.mask_code = 10;
  config.codebook_rows = 11;
  config.codebook_dim = 8;
  config.width = 32;
  config.n_head = 2;
  config.head_width = 16;
  config.cut_to_length = true;
  config.tail_frames = 6;
  config.whisper_model_name = "small";
  return config;
}

TEST(SoundTokenizer, FilesComeBack) {
  Bottleneck bottleneck(small_config());
  bottleneck.initialize(5);
  const TemporaryFolder folder;
  const auto path = folder / "sound_tokenizer.safetensors";
  save_bottleneck(path, bottleneck, {{"optimizer.step", at::ones({1}), std::nullopt}});
  const auto loaded = load_bottleneck(folder.path());  // or the file itself, as below
  EXPECT_EQ(loaded->config().to_json(), small_config().to_json());
  const auto a = all_tensors(bottleneck), b = all_tensors(*loaded);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(key))) << key;
  EXPECT_EQ(bottleneck.dequantize(at::arange(5)).sizes(), (std::vector<int64_t>{1, 1500, 32}));

  // Rounded weights: the comparison with the codebook stays in float32 and exact.
  const auto rounded = load_bottleneck(path, at::kBFloat16);
  EXPECT_EQ(rounded->named_parameters()["mlp.0.weight"].scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(rounded->named_parameters()["rq.project_in.weight"], a.at("rq.project_in.weight")));
  EXPECT_EQ(rounded->project(rounded->transform(at::randn({1, 3, 32}).to(at::kBFloat16))).scalar_type(), at::kFloat);
}

TEST(SoundTokenizer, HearsWithoutItsOutputBlocks) {
  Bottleneck bottleneck(small_config());
  bottleneck.initialize(5);
  const TemporaryFolder folder;
  const auto path = folder / "sound_tokenizer.safetensors";
  std::vector<TensorToWrite> tensors;
  for (const auto& [key, tensor] : all_tensors(bottleneck)) {
    if (key.starts_with("rq.") || key.starts_with("mlp")) tensors.push_back({key, tensor.detach(), std::nullopt});
  }
  // Matrices may be stored in blocks.
  for (auto& item : tensors) {
    if (item.name == "mlp.0.weight") item.blocks = BlockType::kQ8_0;
  }
  write_safetensors(path, tensors, {{"ichigo.sound_tokenizer", small_config().to_json().dump()}});
  const auto loaded = load_bottleneck(path);
  const at::Tensor x = at::randn({1, 8, 32});
  EXPECT_LE(difference(loaded->project(loaded->pool(x)), bottleneck.project(bottleneck.pool(x))), 0.02);
  try {
    loaded->dequantize(at::arange(3));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("output blocks"), std::string::npos);
  }
}

TEST(SoundTokenizer, BadFilesAreNamed) {
  Bottleneck bottleneck(small_config());
  bottleneck.initialize(1);
  const TemporaryFolder folder;
  const auto path = folder / "sound_tokenizer.safetensors";
  auto error_of = [&](const std::string& left_out, const std::string& configuration) {
    std::vector<TensorToWrite> tensors;
    for (const auto& [key, tensor] : all_tensors(bottleneck)) {
      if (key != left_out) tensors.push_back({key, tensor.detach(), std::nullopt});
    }
    std::map<std::string, std::string> metadata;
    if (!configuration.empty()) metadata["ichigo.sound_tokenizer"] = configuration;
    write_safetensors(path, tensors, metadata);
    return test::error_of([&] { load_bottleneck(path); });
  };
  const std::string good = small_config().to_json().dump();
  EXPECT_EQ(error_of("", good), "");
  EXPECT_NE(error_of("", "").find("ichigo.sound_tokenizer"), std::string::npos);
  EXPECT_NE(error_of("", "[3]").find("JSON object"), std::string::npos);
  EXPECT_NE(error_of("", R"({"codes": "many"})").find("codes"), std::string::npos);
  EXPECT_NE(error_of("", R"({"width": 32, "n_head": -2, "head_width": -16})").find("n_head"), std::string::npos);
  EXPECT_NE(error_of("mlp.2.bias", good).find("mlp.2.bias"), std::string::npos);
  EXPECT_NE(error_of("rq.layers.0._codebook.embed", good).find("_codebook.embed"), std::string::npos);
  EXPECT_NE(error_of("ln_post.weight", good).find("ln_post.weight"), std::string::npos);
  auto other = small_config();
  other.codebook_dim = 9;
  EXPECT_NE(error_of("", other.to_json().dump()).find(", 9]"), std::string::npos);
}

TEST(SoundTokenizer, CutClipsKeepTheirLength) {
  const SoundTokenizerConfig config = small_config();
  const WhisperConfig whisper{.n_mels = 80, .n_audio_state = 32, .n_audio_head = 2, .n_audio_layer = 1};
  auto encoder = std::make_shared<WhisperEncoder>(whisper);
  auto bottleneck = std::make_shared<Bottleneck>(config);
  bottleneck->initialize(2);
  const at::NoGradGuard no_grad;
  for (auto& parameter : encoder->parameters()) parameter.normal_(0, 0.1);
  const SoundTokenizer tokenizer(encoder, bottleneck);
  // 13 frames + 6 of tail -> 20 frames, 10 features.
  EXPECT_EQ(tokenizer.features(at::zeros({80, 13})).sizes(), (std::vector<int64_t>{1, 10, 32}));
  EXPECT_EQ(tokenizer.features(at::zeros({80, 2998})).size(1), 1500);
  // The frames behind the clip are silence.
  const at::Tensor mel = at::randn({80, 14});
  const at::Tensor by_hand = at::cat({mel, at::full({80, 6}, -1.5)}, 1).unsqueeze(0);
  EXPECT_EQ(difference(tokenizer.features(mel), encoder->forward(by_hand)), 0);
  for (const size_t samples : {0, 639, 640, 12345, 480000, 479999}) {
    EXPECT_EQ(tokenizer.encode(std::vector<float>(samples, 0.01F)).size(), samples / 640) << samples;
  }
}

TEST(SoundTokenizer, GradientsReachEveryParameter) {
  Bottleneck bottleneck(small_config());
  bottleneck.initialize(9);
  bottleneck.named_parameters()["_out_blocks.0.attn.query.weight"].data().normal_(0, 0.1);
  const at::Tensor x = bottleneck.transform(at::randn({2, 5, 32}));
  const at::Tensor projected = bottleneck.project(x);
  const at::Tensor codes = bottleneck.quantize(projected);
  EXPECT_EQ(codes.sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_FALSE(codes.requires_grad());
  const at::Tensor out = bottleneck.output(bottleneck.embed(codes).repeat_interleave(2, 1));
  (out.square().sum() + projected.pow(3).sum()).backward();
  for (const auto& item : bottleneck.named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
  }
}

TEST(SoundTokenizer, QuantizerTakesTheFirstOfEquals) {
  Bottleneck bottleneck(small_config());
  bottleneck.initialize(4);
  const at::Tensor row = bottleneck.codebook()[7].clone();
  bottleneck.codebook()[3].copy_(row);
  bottleneck.codebook()[10].copy_(row);  // the mask code is a candidate like any other
  EXPECT_EQ(bottleneck.quantize(row.view({1, 1, 8})).item<int64_t>(), 3);
}

}  // namespace
}  // namespace ichigo
