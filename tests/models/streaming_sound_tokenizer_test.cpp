// Block-causal attention against the plain encoder on what each block may see, and the streaming tokenizer against the
// whole clip.
#include "models/streaming_sound_tokenizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/random.h"
#include "temporary_folder.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

constexpr EncoderBlocks kBlocks{16, 12, 3};

WhisperConfig small_encoder(const EncoderBlocks& blocks, int64_t layers = 2) {
  WhisperConfig config;
  config.n_audio_state = 32;
  config.n_audio_head = 2;
  config.n_audio_layer = layers;
  config.blocks = blocks;
  return config;
}

std::shared_ptr<WhisperEncoder> random_encoder(const WhisperConfig& config) {
  at::manual_seed(3);
  auto encoder = std::make_shared<WhisperEncoder>(config);
  for (auto& item : encoder->named_parameters()) {
    const double spread = item.key().find("ln") == std::string::npos ? 0.2 : 0;
    item.value().set_data(at::randn(item.value().sizes()) * spread + (item.key().ends_with("ln.weight") ? 1 : 0));
    if (item.key() == "ln_post.weight") item.value().data().fill_(1);
    item.value().set_requires_grad(false);
  }
  return encoder;
}

std::shared_ptr<Bottleneck> random_bottleneck() {
  SoundTokenizerConfig config;
  config.codes = config.mask_code = 64;
  config.codebook_rows = 65;
  config.codebook_dim = 16;
  config.width = 32;
  config.n_head = 2;
  config.head_width = 16;
  config.depth = 0;
  config.cut_to_length = true;
  config.tail_frames = 6;
  auto bottleneck = std::make_shared<Bottleneck>(config);
  bottleneck->initialize(7);
  return bottleneck;
}

// Tones that change all the time, louder and louder.
std::vector<float> sound(size_t count) {
  Random random(9);
  std::vector<float> samples(count);
  double pitch = 0.05, phase = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i % 1600 == 0) pitch = random.uniform(0.02, 0.8);
    phase += pitch;
    samples[i] = static_cast<float>((std::sin(phase) + 0.2 * random.normal()) * 0.05 *
                                    (1 + static_cast<double>(i) / 20000));
  }
  return samples;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

TEST(WhisperEncoder, PackedForInferenceIsTheSame) {
  const at::NoGradGuard no_grad;
  for (const EncoderBlocks& blocks : {EncoderBlocks{}, kBlocks}) {
    const auto plain = random_encoder(small_encoder(blocks)), packed = random_encoder(small_encoder(blocks));
    pack_for_inference(*packed, MatrixType::kFloat32);
    const at::Tensor mel = at::randn({1, 80, 300});
    EXPECT_LT(difference(packed->forward(mel), plain->forward(mel)), 1e-4);
  }
}

// Behind one layer, what a block makes of its frames is what the plain encoder makes of them when it is given nothing
// but the frames that the block sees. The convolutions here hear one frame only, so that a cut does not show.
TEST(BlockCausalEncoder, EachBlockSeesItselfItsLookAheadAndItsContext) {
  const at::NoGradGuard no_grad;
  const auto encoder = random_encoder(small_encoder(kBlocks, 1)), plain = random_encoder(small_encoder({}, 1));
  for (const auto& one : {encoder, plain}) {
    for (const char* name : {"conv1.weight", "conv2.weight"}) {
      auto weight = one->named_parameters()[name];
      weight.select(2, 0).zero_();
      weight.select(2, 2).zero_();
    }
  }
  const int64_t frames = 150;
  const at::Tensor mel = at::randn({1, 80, 2 * frames});
  const at::Tensor heard = encoder->forward(mel, /*position=*/40);
  ASSERT_EQ(heard.sizes(), (std::vector<int64_t>{1, frames, 32}));
  for (int64_t block = 0; block * 16 < frames; ++block) {
    SCOPED_TRACE(block);
    const int64_t own = block * 16, begin = std::max<int64_t>(0, own - 3 * 16), end = std::min(frames, own + 16 + 12);
    const int64_t kept = std::min<int64_t>(16, frames - own);
    const at::Tensor alone = plain->forward(mel.slice(2, 2 * begin, 2 * end), 40 + begin);
    EXPECT_LT(difference(heard.narrow(1, own, kept), alone.narrow(1, own - begin, kept)), 1e-5);
  }
}

TEST(BlockCausalEncoder, BlockByBlockIsTheWholeClip) {
  const at::NoGradGuard no_grad;
  const auto encoder = random_encoder(small_encoder(kBlocks));
  for (const int64_t frames : {2, 16, 17, 40, 300}) {
    SCOPED_TRACE(frames);
    const at::Tensor mel = at::randn({1, 80, 2 * frames});
    const at::Tensor convolved = encoder->convolve(mel);
    EncoderCache cache;
    std::vector<at::Tensor> blocks;
    for (int64_t begin = 0; begin < frames; begin += 16) {
      blocks.push_back(encoder->forward_block(convolved.slice(1, begin, std::min(frames, begin + 28)), cache));
    }
    EXPECT_EQ(cache.length, frames);
    EXPECT_LT(difference(at::cat(blocks, 1), encoder->forward(mel)), 1e-5);
  }
  EncoderCache cache;
  EXPECT_CONTAINS(test::error_of([&] { encoder->forward_block(at::zeros({1, 29, 32}), cache); }), "29 frames");
  cache.length = 1490;
  EXPECT_CONTAINS(test::error_of([&] { encoder->forward_block(at::zeros({1, 28, 32}), cache); }), "position 1518");
}

TEST(BlockCausalEncoder, FilesSayHowItHears) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "encoder.safetensors";
  const auto encoder = random_encoder(small_encoder(kBlocks));
  save_encoder(path, *encoder, at::kFloat);
  // 64 wide heads are what shapes alone suggest.
  auto loaded = load_whisper(path).encoder;
  EXPECT_EQ(loaded->config().blocks.frames, 16);
  EXPECT_EQ(loaded->config().blocks.look_ahead, 12);
  EXPECT_EQ(loaded->config().blocks.context, 3);
  const auto own = encoder->named_parameters();
  for (const auto& item : loaded->named_parameters()) EXPECT_TRUE(item.value().equal(*own.find(item.key())));
  save_encoder(path, *random_encoder(small_encoder({})), at::kFloat);
  EXPECT_FALSE(load_whisper(path).encoder->config().blocks.any());

  for (const auto& [text, message] : {std::pair{"{\"frames\": 16}", "look_ahead is missing"},
                                      {"{\"frames\": 16, \"look_ahead\": 1, \"context\": -1}", "blocks.context is -1"},
                                      {"{\"frames\": 1490, \"look_ahead\": 11, \"context\": 1}", "blocks.look_ahead"},
                                      {"16", "ichigo.encoder_blocks"}}) {
    std::vector<TensorToWrite> tensors;
    for (const auto& item : own) tensors.emplace_back("encoder." + item.key(), item.value());
    write_safetensors(path, tensors, {{"ichigo.encoder_blocks", text}});
    const std::string error = test::error_of([&] { load_whisper(path); });
    EXPECT_CONTAINS(error, message);
    EXPECT_CONTAINS(error, path.string());
  }
}

class StreamingSoundTokenizerTest : public testing::Test {
 protected:
  const SoundTokenizer tokenizer_{random_encoder(small_encoder(kBlocks)), random_bottleneck()};

  // The codes of samples that come in chunks of the given sizes, over and over (0: at random).
  std::vector<int> in_chunks(std::span<const float> samples, size_t chunk) const {
    Random random(chunk);
    StreamingSoundTokenizer stream(tokenizer_);
    std::vector<int> codes;
    const auto add = [&](const std::vector<int>& more) { codes.insert(codes.end(), more.begin(), more.end()); };
    while (!samples.empty()) {
      const size_t count = std::min<size_t>(samples.size(), chunk > 0 ? chunk : random.below(9000));
      add(stream.accept(samples.first(count)));
      samples = samples.subspan(count);
    }
    add(stream.finish());
    return codes;
  }
};

TEST_F(StreamingSoundTokenizerTest, ChunksOfAnySizeGiveTheSameCodes) {
  const auto all = sound(68 * 16000 + 77);
  for (const size_t length : {size_t{0}, size_t{1}, size_t{639}, size_t{640}, size_t{5120}, size_t{9400},
                              size_t{48333}, 33 * size_t{16000}, all.size()}) {
    SCOPED_TRACE(length);
    const std::span<const float> samples(all.data(), length);
    const auto whole = tokenizer_.encode(samples);
    EXPECT_EQ(whole.size(), length / 640);
    for (const size_t chunk : {size_t{0}, size_t{1}, size_t{160}, size_t{1000}, size_t{5120}}) {
      if (length > 600000 && chunk > 0) continue;
      EXPECT_TRUE(in_chunks(samples, chunk) == whole) << chunk;
    }
  }
}

TEST_F(StreamingSoundTokenizerTest, TheWholeClipThroughTheMaskGivesTheSameCodes) {
  const at::NoGradGuard no_grad;
  const auto samples = sound(9 * 16000 + 500);
  Bottleneck& bottleneck = tokenizer_.bottleneck();
  const at::Tensor mel = tokenizer_.mel(samples);
  const auto projected = bottleneck.project(bottleneck.pool(tokenizer_.features(mel)));
  const auto codes = bottleneck.quantize(projected)[0];
  const auto streamed = tokenizer_.encode(samples);
  ASSERT_EQ(streamed.size(), 225U);
  for (int64_t i = 0; i < 225; ++i) EXPECT_EQ(streamed[i], codes[i].item<int64_t>()) << i;
  EXPECT_GT(std::set<int>(streamed.begin(), streamed.end()).size(), 10U);
}

TEST_F(StreamingSoundTokenizerTest, CodesComeAsSoonAsTheirLookAheadIsThere) {
  const auto samples = sound(40000);
  StreamingSoundTokenizer stream(tokenizer_);
  // 16 frames and 12 of look-ahead, 320 samples each, and 200 more.
  const size_t first = 28 * 320 + 200;
  EXPECT_EQ(stream.accept(std::span(samples).first(first - 1)).size(), 0U);
  EXPECT_EQ(stream.accept(std::span(samples).subspan(first - 1, 1)).size(), 8U);
  EXPECT_EQ(stream.accept(std::span(samples).subspan(first, 5119)).size(), 0U);
  EXPECT_EQ(stream.accept(std::span(samples).subspan(first + 5119, 5121)).size(), 16U);
}

TEST_F(StreamingSoundTokenizerTest, ACopyEndsAndTheOriginalGoesOn) {
  const auto samples = sound(70000);
  StreamingSoundTokenizer stream(tokenizer_);
  auto codes = stream.accept(std::span(samples).first(30000));
  StreamingSoundTokenizer guess(stream);
  auto ended = codes;
  for (const int code : guess.finish()) ended.push_back(code);
  EXPECT_TRUE(ended == tokenizer_.encode(std::span(samples).first(30000)));
  for (const int code : stream.accept(std::span(samples).subspan(30000))) codes.push_back(code);
  for (const int code : stream.finish()) codes.push_back(code);
  EXPECT_TRUE(codes == tokenizer_.encode(samples));
}

TEST_F(StreamingSoundTokenizerTest, RefusesWhatItCannotDo) {
  StreamingSoundTokenizer stream(tokenizer_);
  stream.finish();
  EXPECT_CONTAINS(test::error_of([&] { stream.finish(); }), "has ended before");
  EXPECT_CONTAINS(test::error_of([&] { stream.accept(std::vector<float>(1)); }), "after the end of speech");
  const SoundTokenizer whole(random_encoder(small_encoder({})), random_bottleneck());
  EXPECT_CONTAINS(test::error_of([&] { StreamingSoundTokenizer{whole}; }), "whole clips only");
  EXPECT_CONTAINS(
      test::error_of([&] { SoundTokenizer(random_encoder(small_encoder({15, 4, 3})), random_bottleneck()); }),
      "blocks of 15 frames");
}

}  // namespace
}  // namespace ichigo
