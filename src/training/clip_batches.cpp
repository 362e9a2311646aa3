#include "training/clip_batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "training/ctc_head.h"

namespace ichigo {
namespace {
constexpr double kLengthJitter = 12;  // positions by which the order within an epoch is shaken
}  // namespace

std::vector<Clip> usable_clips(const std::vector<FeatureFile>& files, const PhonemeSet& phonemes, int64_t longest,
                               int64_t* left_out, int64_t frames_per_position) {
  std::vector<Clip> clips;
  *left_out = 0;
  for (const auto& file : files) {
    for (const auto& source : file.clips()) {
      Clip clip{&file, &source, source.frames / frames_per_position, phonemes.encode(source.phonemes, true)};
      const bool short_enough = longest == 0 || clip.length <= longest;
      if (short_enough && !clip.phonemes.empty() && ctc_positions(clip.phonemes) <= clip.length) {
        clips.push_back(std::move(clip));
      } else {
        ++*left_out;
      }
    }
  }
  return clips;
}

at::Tensor encoder_frames(const Clip& clip) {
  return clip.file->features(*clip.source).narrow(0, 0, clip.length * kFramesPerPosition).to(at::kFloat);
}

at::Tensor pool_frames(const at::Tensor& frames, int64_t length) {
  const at::Tensor whole = frames.narrow(0, 0, length * kFramesPerPosition).to(at::kFloat);
  return whole.unflatten(0, {length, kFramesPerPosition}).mean(1);
}

at::Tensor pooled_features(const Clip& clip) {
  return pool_frames(clip.file->features(*clip.source), clip.length);
}

ClipBatch make_batch(const std::vector<const Clip*>& clips, const std::function<at::Tensor(const Clip&)>& pooled) {
  require(!clips.empty(), "a batch needs at least one clip");
  ClipBatch batch;
  batch.clips = clips;
  const auto count = static_cast<int64_t>(clips.size());
  std::vector<int64_t> lengths, phonemes, phoneme_lengths;
  std::vector<at::Tensor> features;
  for (const Clip* clip : clips) {
    features.push_back(pooled(*clip));
    lengths.push_back(clip->length);
    phonemes.insert(phonemes.end(), clip->phonemes.begin(), clip->phonemes.end());
    phoneme_lengths.push_back(static_cast<int64_t>(clip->phonemes.size()));
  }
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  batch.features = at::pad_sequence(features, /*batch_first=*/true);
  batch.mask = at::zeros({count, longest});
  for (int64_t i = 0; i < count; ++i) batch.mask[i].narrow(0, 0, lengths[i]).fill_(1);
  batch.lengths = at::tensor(lengths);
  batch.phonemes = at::tensor(phonemes, at::kLong);
  batch.phoneme_lengths = at::tensor(phoneme_lengths);
  return batch;
}

ClipSampler::ClipSampler(const std::vector<Clip>& clips, int64_t positions, uint64_t seed)
    : clips_(clips), positions_(positions), seed_(seed) {
  require(!clips.empty(), "there is nothing to train on");
  plan();
}

void ClipSampler::plan() {
  Random random = Random::keyed(seed_, epoch_);
  std::vector<std::pair<double, const Clip*>> order;
  for (const Clip& clip : clips_) {
    order.emplace_back(static_cast<double>(clip.length) + random.uniform(0, kLengthJitter), &clip);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  batches_.clear();
  int64_t longest = 0;
  for (const auto& [key, clip] : order) {
    const int64_t with_this = std::max(longest, clip->length);
    const bool fits = !batches_.empty() && (static_cast<int64_t>(batches_.back().size()) + 1) * with_this <= positions_;
    if (!fits) batches_.emplace_back();
    longest = fits ? with_this : clip->length;
    batches_.back().push_back(clip);
  }
  random.shuffle(batches_);
}

std::vector<const Clip*> ClipSampler::next() {
  if (position_ == static_cast<int64_t>(batches_.size())) seek(epoch_ + 1, 0);
  return batches_[position_++];
}

void ClipSampler::seek(int64_t epoch, int64_t position) {
  epoch_ = epoch;
  plan();
  require(position >= 0 && position <= static_cast<int64_t>(batches_.size()),
          "the checkpoint's place in the data does not exist; were the feature files changed?");
  position_ = position;
}

}  // namespace ichigo
