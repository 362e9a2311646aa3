#include "evaluation/phone_error_rate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/temporary_folder.h"
#include "data/feature_file.h"
#include "models/sound_tokenizer.h"
#include "training/ctc_head.h"
#include "training/tiny_encoder.h"

namespace ichigo {
namespace {

TEST(PhoneErrorRate, EditDistanceCountsTheFewestEdits) {
  const std::vector<int64_t> kitten = {1, 2, 3, 3, 4, 5}, sitting = {6, 2, 3, 3, 2, 5, 7};
  EXPECT_EQ(edit_distance(kitten, sitting), 3);
  EXPECT_EQ(edit_distance(sitting, kitten), 3);
  EXPECT_EQ(edit_distance({}, kitten), 6);
  EXPECT_EQ(edit_distance(kitten, kitten), 0);
}

// A head that hears nothing has one error for each phone, and a codebook whose codes are all alike perplexity 1.
TEST(PhoneErrorRate, OfAHeadThatHearsNothingIsOne) {
  const TemporaryFolder folder;
  const at::NoGradGuard no_gradient;
  SoundTokenizerConfig config;
  config.width = 64, config.n_head = 1, config.depth = 0, config.codes = 4, config.mask_code = 4;
  config.codebook_rows = 5, config.codebook_dim = 8;
  Bottleneck bottleneck(config);
  bottleneck.initialize(1);
  bottleneck.codebook().narrow(0, 1, 4).zero_();
  bottleneck.named_parameters()["rq.project_in.weight"].zero_();
  bottleneck.named_parameters()["rq.project_in.bias"].copy_(bottleneck.codebook()[0]);
  CtcHeadConfig head_config;
  head_config.input = 64, head_config.width = 64, head_config.layers = 0, head_config.outputs = 3;
  CtcHead head(head_config);
  head.initialize(2);
  head.named_parameters()["output.bias"].copy_(at::tensor(std::vector<float>{100, 0, 0}));
  save_bottleneck(folder / "sound_tokenizer.safetensors", bottleneck);
  save_ctc_head(folder.path(), head, PhonemeSet({"a", "b"}));

  std::string list;
  for (int64_t index = 0; index < 3; ++index) {
    FeatureClip clip;
    clip.index = index, clip.offset = 20 * index, clip.frames = 20;
    clip.phonemes = {"a", "b", "unknown"};
    list += feature_line(clip);
  }
  const auto features = at::randn({60, 64}).to(at::kBFloat16);
  write_file(folder / "clips.features", {static_cast<const char*>(features.const_data_ptr()), features.nbytes()});
  write_file(folder / "clips.jsonl", list);
  const auto score = evaluate_sound_tokenizer(folder / "clips", folder.path());
  EXPECT_EQ(score.phone_error_rate, 1);
  EXPECT_EQ(score.phones, 9);
  EXPECT_EQ(score.clips, 3);
  EXPECT_EQ(score.codes_used, 1);
  EXPECT_NEAR(score.codebook_perplexity, 1, 1e-9);

  // With an encoder of its own the same frames are log mel power, four to a position.
  test::write_tiny_encoder(folder / "whisper.safetensors");
  EXPECT_THROW(evaluate_sound_tokenizer(folder / "clips", folder.path()), Error);
  const auto power = at::randn({60, 80}).to(at::kBFloat16);
  write_file(folder / "clips.features", {static_cast<const char*>(power.const_data_ptr()), power.nbytes()});
  const auto own = evaluate_sound_tokenizer(folder / "clips", folder.path());
  EXPECT_EQ(own.phone_error_rate, 1);
  EXPECT_EQ(own.clips, 3);
  EXPECT_EQ(own.codes_used, 1);
}

}  // namespace
}  // namespace ichigo
