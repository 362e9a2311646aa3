// Distils a sound tokenizer's encoder into one with block-causal attention: the student begins as the teacher and learns
// to give, behind the same frozen quantiser, the codes that the teacher gives for the whole clip.
#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "audio/log_mel.h"
#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "base/random.h"
#include "data/feature_file.h"
#include "models/sound_tokenizer.h"
#include "training/adamw.h"
#include "training/checkpoint.h"
#include "training/metrics.h"
#include "training/streaming_tokenizer_recipe.h"
#include "training/trained_encoder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMelFramesPerSecond = 100;
constexpr const char* kEncoderFile = "streaming_whisper.safetensors";
enum Stream : uint64_t { kOrderStream = 1, kPositionStream };

std::shared_ptr<WhisperEncoder> load_student(const StreamingTokenizerRecipe& recipe) {
  auto encoder = load_whisper(recipe.whisper, fast_dtype(at::kCPU), /*with_decoder=*/false).encoder;
  encoder->hear_in_blocks(recipe.blocks);
  return encoder;
}

class StreamingTokenizerTrainer {
 public:
  explicit StreamingTokenizerTrainer(StreamingTokenizerRecipe recipe)
      : recipe_(std::move(recipe)),
        teacher_(SoundTokenizer::load(recipe_.tokenizer, recipe_.whisper)),
        student_(load_student(recipe_)),
        student_tokenizer_(student_, load_bottleneck(recipe_.tokenizer)),
        optimizer_(optimizer_of(*student_, teacher_.encoder(), recipe_.optimizer)) {
    require(!teacher_.streaming(), recipe_.whisper.string(), ": the teacher must be an encoder that sees whole clips");
    for (auto& parameter : student_tokenizer_.bottleneck().parameters()) parameter.set_requires_grad(false);
    const int64_t longest = kWindowFrames - teacher_.config().tail_frames - 4;
    for (const auto& path : recipe_.speech) {
      files_.push_back(std::make_unique<FeatureFile>(path, teacher_.encoder().config().n_mels));
      for (const FeatureClip& clip : files_.back()->clips()) {
        if (clip.frames >= 4 && clip.frames <= longest) {
          clips_.push_back({files_.back().get(), &clip});
        } else {
          ++left_out_;
        }
      }
    }
    require(!clips_.empty(), "there is no clip of 0.04 s to 30 s to train on");
    plan(0, 0);
  }

  bool run(const TrainOptions& options) {
    resume();
    double seconds = 0;
    for (const auto& clip : clips_) seconds += static_cast<double>(clip.source->frames) / kMelFramesPerSecond;
    std::fprintf(stderr, "%zu clips, %.2f hours; %lld clips left out\n", clips_.size(), seconds / 3600,
                 static_cast<long long>(left_out_));
    const int64_t total = recipe_.schedule.total_steps;
    if (step_ < total) {
      train_steps(options.last_step(step_, total), options.stop_after_seconds);
    } else {
      save_encoder_of_now();
    }
    std::fprintf(stderr, "the encoder of step %lld is in %s\n", static_cast<long long>(step_),
                 (recipe_.output / kEncoderFile).c_str());
    return step_ >= total;
  }

 private:
  struct SpeechClip {
    const FeatureFile* file;
    const FeatureClip* source;
  };
  // Sums over the codes of a step.
  struct Sums {
    double kl = 0, distance = 0;
    int64_t agreeing = 0, codes = 0, mel_frames = 0;
  };

  // The order of an epoch, which goes on behind its first `position` clips.
  void plan(int64_t epoch, int64_t position) {
    epoch_ = epoch;
    position_ = position;
    order_.resize(clips_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    Random random = Random::keyed(recipe_.seed, kOrderStream, epoch);
    random.shuffle(order_);
    require(position >= 0 && position <= static_cast<int64_t>(order_.size()),
            "the checkpoint's place in the data does not exist; were the feature files changed?");
  }

  const SpeechClip& next_clip() {
    if (position_ == static_cast<int64_t>(order_.size())) plan(epoch_ + 1, 0);
    return clips_[order_[static_cast<size_t>(position_++)]];
  }

  static at::Tensor projected(const SoundTokenizer& tokenizer, const at::Tensor& features, int64_t codes) {
    Bottleneck& bottleneck = tokenizer.bottleneck();
    return bottleneck.project(bottleneck.pool(features))[0].narrow(0, 0, codes);
  }

  // One clip's losses and their gradients.
  void learn(const SpeechClip& clip, Random& random, Sums& sums) {
    const at::Tensor power = clip.file->features(*clip.source).t().to(at::kFloat).contiguous();
    const int64_t frames = power.size(1), count = frames / 2 / teacher_.config().downsample;
    at::Tensor wanted;
    {
      const at::NoGradGuard no_grad;
      wanted = projected(teacher_, teacher_.features(StreamingLogMel::normalize(power)), count);
    }
    const at::Tensor codes = teacher_.bottleneck().quantize(wanted);
    float loudest = kLoudestLogPower;
    const int64_t padded = teacher_.padded_frames(frames);
    const at::Tensor mel = at::constant_pad_nd(StreamingLogMel::normalize_so_far(power, loudest), {0, padded - frames},
                                               kSilentLogMel);
    const int64_t room = student_->config().n_audio_ctx - padded / 2;
    const bool later = random.uniform() < recipe_.later_share;
    const int64_t position = later ? static_cast<int64_t>(random.below(static_cast<uint64_t>(room + 1))) : 0;
    const at::Tensor heard = projected(student_tokenizer_, student_->forward(mel.unsqueeze(0), position), count);
    const at::Tensor codebook = teacher_.bottleneck().codebook().narrow(0, 0, teacher_.config().codes);
    const at::Tensor cosines = at::mm(heard, codebook.t());
    const at::Tensor wanted_shares = at::softmax(at::mm(wanted, codebook.t()) / recipe_.temperature, -1);
    const at::Tensor kl =
        at::kl_div(at::log_softmax(cosines / recipe_.temperature, -1), wanted_shares, at::Reduction::Sum);
    const at::Tensor distance = (1 - (heard * wanted).sum(-1)).sum();
    (kl * recipe_.kl + distance * recipe_.distance).backward();
    optimizer_.accumulate();
    sums.kl += kl.item<double>();
    sums.distance += distance.item<double>();
    sums.agreeing += (cosines.argmax(-1) == codes).sum().item<int64_t>();
    sums.codes += count;
    sums.mel_frames += frames;
  }

  void train_steps(int64_t stop, double stop_seconds) {
    MetricsLog log(recipe_.output, step_);
    Progress progress("training", recipe_.schedule.total_steps, "steps", step_);
    const auto start = Clock::now();
    bool halt = false;
    while (step_ < stop && !halt) {
      const auto step_start = Clock::now();
      Random random = Random::keyed(recipe_.seed, kPositionStream, step_);
      Sums sums;
      while (static_cast<double>(sums.mel_frames) < recipe_.batch_seconds * kMelFramesPerSecond)
        learn(next_clip(), random, sums);
      const auto codes = static_cast<double>(sums.codes);
      const double kl = sums.kl / codes, distance = sums.distance / codes;
      require(std::isfinite(kl), "the loss of step ", step_,
              " is not finite; lower learning_rate: the newest checkpoint is kept");
      const double rate = learning_rate(recipe_.schedule, step_);
      const double norm = optimizer_.step(rate, 1 / codes);
      const double agreement = static_cast<double>(sums.agreeing) / codes;
      const double speed = static_cast<double>(sums.mel_frames) / kMelFramesPerSecond / seconds_since(step_start);
      log.write({{"step", step_},
                 {"kl", kl},
                 {"distance", distance},
                 {"agreement", agreement},
                 {"learning_rate", rate},
                 {"gradient_norm", norm},
                 {"times_real_time", speed}});
      ++step_;
      char detail[128];
      std::snprintf(detail, sizeof detail, "kl %.3f, %.1f %% of the codes agree, %.0f x real time",
                    kl, 100 * agreement, speed);
      progress.update(step_, detail);
      halt = interrupted() || (stop_seconds > 0 && seconds_since(start) > stop_seconds);
      if (halt || step_ == stop || step_ % recipe_.checkpoint_steps == 0) save();
    }
  }

  // What the recipe's paths held: the speech, and what the teacher hears with.
  std::string begun_from() const {
    std::string marks;
    for (const auto& file : files_) marks += concat(file->hash(), " ");
    return marks + mark_of(teacher_.bottleneck().codebook()) + mark_of(teacher_.encoder());
  }

  // A checkpoint, and the encoder as it is now.
  void save() const {
    Checkpoint checkpoint;
    checkpoint.step = step_;
    checkpoint.tensors = optimizer_.state();
    checkpoint.values = {{"recipe", recipe_.fingerprint()},
                         {"begun_from", begun_from()},
                         {"epoch", epoch_},
                         {"position", position_}};
    save_checkpoint(recipe_.output, checkpoint);
    save_encoder_of_now();
  }

  void save_encoder_of_now() const {
    save_trained_encoder(recipe_.output / kEncoderFile, student_->config(), optimizer_.master_weights());
  }

  void resume() {
    const auto checkpoint = load_newest_checkpoint(recipe_.output, recipe_.fingerprint());
    if (!checkpoint) return;
    require_same_beginning(recipe_.output, *checkpoint, begun_from());
    optimizer_.load_state(checkpoint->tensors);
    plan(checkpoint->values.at("epoch"), checkpoint->values.at("position"));
    step_ = checkpoint->step;
    std::fprintf(stderr, "going on from step %lld\n", static_cast<long long>(step_));
  }

  StreamingTokenizerRecipe recipe_;
  SoundTokenizer teacher_;
  std::shared_ptr<WhisperEncoder> student_;
  SoundTokenizer student_tokenizer_;
  AdamW optimizer_;
  std::vector<std::unique_ptr<FeatureFile>> files_;
  std::vector<SpeechClip> clips_;
  std::vector<size_t> order_;
  int64_t left_out_ = 0, step_ = 0, epoch_ = 0, position_ = 0;
};

}  // namespace

bool train_streaming_tokenizer(const std::filesystem::path& recipe, const TrainOptions& options) {
  return StreamingTokenizerTrainer(StreamingTokenizerRecipe::read(recipe)).run(options);
}

}  // namespace ichigo
