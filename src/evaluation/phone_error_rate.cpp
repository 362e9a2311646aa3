#include "evaluation/phone_error_rate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "data/feature_file.h"
#include "models/sound_tokenizer.h"
#include "training/clip_batches.h"
#include "training/codebook.h"
#include "training/ctc_head.h"
#include "training/trained_encoder.h"

namespace ichigo {

int64_t edit_distance(std::span<const int64_t> from, std::span<const int64_t> to) {
  std::vector<int64_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t diagonal = row[0]++;
    for (size_t j = 0; j < to.size(); ++j) {
      const int64_t substituted = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, substituted});
    }
  }
  return row.back();
}

SoundTokenizerScore evaluate_sound_tokenizer(const std::filesystem::path& features,
                                             const std::filesystem::path& tokenizer) {
  const at::NoGradGuard no_gradient;
  const auto [bottleneck, head, phonemes] = load_trained_sound_tokenizer(tokenizer);
  std::unique_ptr<SoundTokenizer> ear;  // where the encoder was trained, too
  if (std::filesystem::exists(trained_encoder_file(tokenizer))) {
    ear = std::make_unique<SoundTokenizer>(load_whisper(trained_encoder_file(tokenizer)).encoder, bottleneck);
  }
  const FeatureFile file(features, ear ? ear->encoder().config().n_mels : bottleneck->config().width);
  const int64_t frames_per_position = ear ? kMelFramesPerPosition : kFramesPerPosition;
  const auto project_out = bottleneck->named_parameters();
  SoundTokenizerScore score;
  auto used = at::zeros({bottleneck->config().codebook_rows}, at::kLong);
  int64_t edits = 0;
  Progress progress("evaluating", static_cast<int64_t>(file.clips().size()), "clips");
  for (const auto& source : file.clips()) {
    const Clip clip{&file, &source, source.frames / frames_per_position, {}};
    // A phone that the head does not know can only be an error.
    std::vector<int64_t> wanted;
    for (const auto& phone : source.phonemes) {
      const auto id = phonemes.encode({phone}, true);
      wanted.push_back(id.empty() ? -1 : id[0]);
    }
    if (clip.length > 0) {
      const at::Tensor pooled = ear ? pooled_features(*ear, clip) : pooled_features(clip);
      const auto projected = bottleneck->project(bottleneck->transform(pooled.unsqueeze(0)));
      at::Tensor embedded;
      if (head->config().quantize) {
        const auto codes = bottleneck->quantize(projected);
        used += at::bincount(codes.flatten(), {}, used.numel());
        embedded = bottleneck->embed(codes);
      } else {
        embedded = at::linear(projected, project_out["rq.project_out.weight"], project_out["rq.project_out.bias"]);
      }
      edits += edit_distance(greedy_phonemes(head->forward(embedded, at::ones({1, clip.length}))[0]), wanted);
    } else {
      edits += static_cast<int64_t>(wanted.size());
    }
    score.phones += static_cast<int64_t>(wanted.size());
    progress.update(++score.clips);
  }
  require(score.phones > 0, features.string(), " has no phones to compare with");
  score.phone_error_rate = static_cast<double>(edits) / static_cast<double>(score.phones);
  if (head->config().quantize) score.codebook_perplexity = perplexity_of(used);
  score.codes_used = at::count_nonzero(used).item<int64_t>();
  return score;
}

}  // namespace ichigo
