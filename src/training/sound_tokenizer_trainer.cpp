#include "training/sound_tokenizer_trainer.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "base/random.h"
#include "data/feature_file.h"
#include "training/adamw.h"
#include "training/checkpoint.h"
#include "training/clip_batches.h"
#include "training/metrics.h"
#include "training/trained_encoder.h"
#include "training/trainers.h"
#include "training/whisper_objective.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kPositionsPerSecond = 25;
constexpr int64_t kWindowPositions = 750;  // of Whisper's 30 s: more its decoder does not read at once
// Keys of the independent random streams.
enum Stream : uint64_t { kModelStream = 1, kHeadStream, kOrderStream, kStepStream, kKmeansStream, kPcaStream };

std::vector<FeatureFile> open_features(const SoundTokenizerRecipe& recipe, int64_t width) {
  std::vector<FeatureFile> files;
  for (const auto& path : recipe.features) files.emplace_back(path, width);
  return files;
}

PhonemeSet all_phonemes(const std::vector<FeatureFile>& files) {
  std::vector<FeatureClip> clips;
  for (const auto& file : files) clips.insert(clips.end(), file.clips().begin(), file.clips().end());
  return PhonemeSet::of(clips);
}

}  // namespace

class SoundTokenizerTrainer {
 public:
  explicit SoundTokenizerTrainer(SoundTokenizerRecipe recipe)
      : recipe_(std::move(recipe)),
        type_(fast_dtype(at::kCPU)),
        encoder_(recipe_.encoder.empty() ? nullptr
                                         : std::make_unique<TrainedEncoder>(resolve_base(recipe_.encoder),
                                                                            recipe_.tokenizer, recipe_.optimizer)),
        files_(open_features(recipe_, encoder_ ? encoder_->bands() : recipe_.tokenizer.width)),
        phonemes_(all_phonemes(files_)),
        clips_(usable_clips(files_, phonemes_, encoder_ || recipe_.reads_back() ? kWindowPositions : 0, &left_out_,
                            encoder_ ? kMelFramesPerPosition : kFramesPerPosition)),
        sampler_(clips_, static_cast<int64_t>(recipe_.batch_seconds * kPositionsPerSecond), stream(kOrderStream)),
        bottleneck_(recipe_.tokenizer),
        head_(head_config()),
        codebook_(bottleneck_.codebook().narrow(0, 0, recipe_.tokenizer.codes), recipe_.codebook) {
    initialize();
    if (fixed_codes()) adopt(recipe_.start);
    AdamW::NamedParameters parameters;
    for (const auto& item : bottleneck_.named_parameters())
      if (!fixed_codes() || behind_the_codes(item.key()))
        parameters.emplace_back("bottleneck." + item.key(), item.value());
    if (recipe_.ctc > 0) {
      for (const auto& item : head_.named_parameters()) parameters.emplace_back("head." + item.key(), item.value());
    }
    for (auto& [name, parameter] : parameters) {
      parameter.set_requires_grad(true);
      parameter_count_ += parameter.numel();
    }
    optimizer_ = std::make_unique<AdamW>(std::move(parameters), recipe_.optimizer);
    if (recipe_.cross_entropy > 0 || recipe_.kl > 0)
      objective_ = std::make_unique<WhisperObjective>(resolve_base(recipe_.whisper));
  }

  bool run(const TrainOptions& options) {
    resume();
    const int64_t total = recipe_.schedule.total_steps;
    double seconds = 0;
    for (const auto& clip : clips_) seconds += static_cast<double>(clip.length) / kPositionsPerSecond;
    std::fprintf(stderr, "%zu clips, %.2f hours, %zu phones, %.1f million parameters; %lld clips left out\n",
                 clips_.size(), seconds / 3600, static_cast<size_t>(phonemes_.size() - 1),
                 static_cast<double>(parameter_count_) / 1e6, static_cast<long long>(left_out_));
    train_steps(options.last_step(step_, total), options.stop_after_seconds);
    if (step_ < total) return false;
    save_bottleneck(recipe_.output / "sound_tokenizer.safetensors", bottleneck_);
    if (encoder_) encoder_->save(recipe_.output);
    if (recipe_.ctc > 0) save_ctc_head(recipe_.output, head_, phonemes_);
    std::fprintf(stderr, "the sound tokenizer is in %s\n", recipe_.output.c_str());
    return true;
  }

 private:
  struct Losses {
    at::Tensor total;
    nlohmann::json values;  // by name
  };

  uint64_t stream(uint64_t key) const { return Random::keyed(recipe_.seed, key).next(); }

  bool fixed_codes() const { return !recipe_.start.empty(); }
  static bool behind_the_codes(const std::string& parameter) {
    return !parameter.starts_with("mlp") && !parameter.starts_with("rq.project_in");
  }

  // Takes over everything but the output blocks, which a tokenizer trained without Whisper's decoder has not.
  void adopt(const std::filesystem::path& path) {
    const at::NoGradGuard no_gradient;
    const auto start = load_bottleneck(path);
    auto own = recipe_.tokenizer, other = start->config();
    own.depth = other.depth = 0;
    require(own.to_json() == other.to_json(), path.string(),
            " is a sound tokenizer of another shape: its settings are ", other.to_json().dump(), ", the recipe's are ",
            own.to_json().dump());
    bottleneck_.codebook().copy_(start->codebook());
    auto parameters = bottleneck_.named_parameters();
    for (const auto& item : start->named_parameters()) {
      if (parameters.contains(item.key())) parameters[item.key()].copy_(item.value());
    }
  }

  // What the recipe's paths held: the speech, and what is kept of `start`.
  std::string begun_from() const {
    std::string marks;
    for (const auto& file : files_) marks += concat(file.hash(), " ");
    if (encoder_) marks += encoder_->began_as();
    if (!fixed_codes()) return marks;
    for (const auto& item : bottleneck_.named_parameters()) {
      if (!behind_the_codes(item.key())) marks += mark_of(item.value()) + " ";
    }
    return marks;
  }

  bool trains_encoder() const { return encoder_ && recipe_.encoder_learning_rate > 0; }

  at::Tensor pooled(const Clip& clip) const {
    if (!encoder_) return pooled_features(clip);
    const at::AutoGradMode gradients(at::GradMode::is_enabled() && trains_encoder());
    return encoder_->hear(clip);
  }

  CtcHeadConfig head_config() const {
    CtcHeadConfig config = recipe_.head;
    config.outputs = phonemes_.size();
    return config;
  }

  // CTC stays on its plateau of blanks unless the head sees the features' variation from the first step on: project_in
  // begins as half-whitened principal components, the residual MLP as nothing, project_out with unit variance.
  void initialize() {
    const at::NoGradGuard no_gradient;
    bottleneck_.initialize(stream(kModelStream));
    head_.initialize(stream(kHeadStream));
    bottleneck_.codebook().zero_();  // the mask code stays zero: no vector is nearest to it
    auto weights = bottleneck_.named_parameters();
    Random random(stream(kPcaStream));
    const auto fill = [&](at::Tensor& tensor, auto value) {
      float* values = tensor.mutable_data_ptr<float>();
      for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(value());
    };
    const double bound = 1 / std::sqrt(static_cast<double>(recipe_.tokenizer.width));
    fill(weights["mlp.0.weight"], [&] { return random.uniform(-bound, bound); });
    weights["mlp.0.bias"].zero_();
    weights["mlp.2.weight"].zero_();
    weights["mlp.2.bias"].zero_();
    fill(weights["rq.project_out.weight"], [&] { return random.normal(); });
    weights["rq.project_out.bias"].zero_();

    const auto points = sample_positions(random);
    const auto mean = points.mean(0);
    const auto centred = points - mean;
    const auto [variances, directions] =
        at::linalg_eigh(at::mm(centred.t(), centred) / static_cast<double>(points.size(0)));
    const int64_t dim = recipe_.tokenizer.codebook_dim, first = recipe_.tokenizer.width - dim;
    require(first >= 0, "the codebook's dimension must not exceed the features' width");
    const auto scales = variances.narrow(0, first, dim).clamp_min(1e-3).pow(-0.25);
    const auto projection = (directions.narrow(1, first, dim) * scales).t();
    weights["rq.project_in.weight"].copy_(projection);
    weights["rq.project_in.bias"].copy_(-at::mv(projection, mean));
  }

  // Up to 20 neighbouring positions of up to 2000 clips, float64 [count, width].
  at::Tensor sample_positions(Random& random) const {
    constexpr int64_t kClips = 2000, kPositions = 20;
    std::vector<at::Tensor> pieces;
    for (int64_t i = 0; i < kClips; ++i) {
      const auto features = pooled(clips_[random.below(clips_.size())]);
      const int64_t count = std::min(kPositions, features.size(0));
      const auto begin = static_cast<int64_t>(random.below(features.size(0) - count + 1));
      pieces.push_back(features.narrow(0, begin, count));
    }
    return at::cat(pieces).to(at::kDouble);
  }

  void start_codebook() {
    const at::NoGradGuard no_gradient;
    Random random(stream(kKmeansStream));
    std::vector<size_t> order(clips_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    random.shuffle(order);
    std::vector<at::Tensor> vectors;
    int64_t count = 0;
    for (const size_t i : order) {
      vectors.push_back(bottleneck_.project(bottleneck_.transform(pooled(clips_[i]).to(type_))));
      if ((count += vectors.back().size(0)) >= recipe_.kmeans_vectors) break;
    }
    codebook_.start(at::cat(vectors), random);
  }

  // Unit vectors [batch, time, dim] -> the same replaced by their codes' vectors, gradients passing straight through.
  at::Tensor quantize(const at::Tensor& projected, const at::Tensor& mask, Losses& losses) {
    const auto flat = projected.detach().flatten(0, 1);
    const auto codes = codebook_.assign(flat);
    const auto codebook = bottleneck_.codebook().narrow(0, 0, recipe_.tokenizer.codes).clone();
    const auto nearest = at::embedding(codebook, codes).view(projected.sizes());
    const auto inside = at::nonzero(mask.flatten()).flatten();
    const int64_t revived = codebook_.update(flat.index_select(0, inside), codes.index_select(0, inside),
                                             Random::keyed(stream(kStepStream), step_));
    losses.values["perplexity"] = codebook_.perplexity();
    losses.values["revived"] = revived;
    if (recipe_.commitment > 0) {
      const auto distance = (1 - (projected * nearest).sum(-1)) * mask;
      add(losses, "commitment", recipe_.commitment, distance.sum() / mask.sum());
    }
    if (recipe_.usage > 0) {
      const auto vectors = projected.flatten(0, 1).index_select(0, inside);
      const auto share = at::softmax(at::mm(vectors, codebook.t()) / recipe_.usage_temperature, -1).mean(0);
      const auto lost = std::log(static_cast<double>(codebook.size(0))) + at::xlogy(share, share).sum();
      add(losses, "usage", recipe_.usage, lost);
    }
    return projected + (nearest - projected).detach();
  }

  static void add(Losses& losses, const char* name, double weight, const at::Tensor& loss) {
    losses.values[name] = loss.item<double>();
    losses.total = losses.total.defined() ? losses.total + loss * weight : loss * weight;
  }

  Losses forward(const ClipBatch& batch) {
    Losses losses;
    at::Tensor projected = bottleneck_.project(bottleneck_.transform(batch.features.to(type_)));
    if (fixed_codes()) {
      projected = at::embedding(bottleneck_.codebook(), bottleneck_.quantize(projected)).detach();
    } else if (codebook_.started()) {
      projected = quantize(projected, batch.mask, losses);
    }
    const auto weights = bottleneck_.named_parameters();
    const auto embedded = at::linear(projected, weights["rq.project_out.weight"], weights["rq.project_out.bias"]);
    if (recipe_.ctc > 0) {
      auto seen = embedded;
      if (recipe_.time_mask > 0) seen = seen * (at::rand_like(batch.mask) >= recipe_.time_mask).unsqueeze(-1);
      const auto logits = head_.forward(seen.to(type_), batch.mask.to(type_));
      add(losses, "ctc", recipe_.ctc, phoneme_ctc_loss(logits, batch.lengths, batch.phonemes, batch.phoneme_lengths));
    }
    if (recipe_.reads_back()) read_back(batch, projected, weights, losses);
    return losses;
  }

  // From the codes to Whisper's features. Behind its end each clip has the mask code, as when the tokenizer is used.
  void read_back(const ClipBatch& batch, const at::Tensor& projected,
                 const torch::OrderedDict<std::string, at::Tensor>& weights, Losses& losses) {
    const auto wanted = static_cast<int64_t>(recipe_.decoder_seconds * kPositionsPerSecond);
    const int64_t padding = std::max<int64_t>(0, wanted - projected.size(1));
    const auto padded = at::constant_pad_nd(projected * batch.mask.unsqueeze(-1), {0, 0, 0, padding});
    const auto embedded = at::linear(padded, weights["rq.project_out.weight"], weights["rq.project_out.bias"]);
    const auto features = bottleneck_.output(embedded.repeat_interleave(recipe_.tokenizer.downsample, 1));
    if (recipe_.mse > 0) {
      std::vector<at::Tensor> frames;
      for (const Clip* clip : batch.clips) frames.push_back(encoder_frames(*clip));
      const at::Tensor true_features = at::pad_sequence(frames, /*batch_first=*/true);
      const at::Tensor inside = batch.mask.repeat_interleave(recipe_.tokenizer.downsample, 1);
      const at::Tensor wrong = (features.narrow(1, 0, inside.size(1)) - true_features).square().mean(-1);
      add(losses, "mse", recipe_.mse, (wrong * inside).sum() / inside.sum());
    }
    if (!objective_) return;
    const auto read = objective_->losses(batch, features, recipe_.cross_entropy > 0, recipe_.kl > 0);
    if (recipe_.cross_entropy > 0) add(losses, "cross_entropy", recipe_.cross_entropy, read.cross_entropy);
    if (recipe_.kl > 0) add(losses, "kl", recipe_.kl, read.kl);
  }

  void train_steps(int64_t stop, double stop_seconds) {
    if (step_ >= stop) return;
    const double peak = measure_matrix_peak();
    const int64_t total = recipe_.schedule.total_steps;
    const auto quantize_from = static_cast<int64_t>(recipe_.quantize_after * static_cast<double>(total));
    MetricsLog log(recipe_.output, step_);
    Progress progress("training", total, "steps", step_);
    const auto start = Clock::now();
    bool halt = false;
    while (step_ < stop && !halt) {
      const auto step_start = Clock::now();
      if (recipe_.quantize && step_ >= quantize_from && !codebook_.started() && !fixed_codes()) start_codebook();
      at::manual_seed(Random::keyed(stream(kStepStream), step_, uint64_t{1}).next());
      const ClipBatch batch = make_batch(sampler_.next(), [this](const Clip& clip) { return pooled(clip); });
      Losses losses = forward(batch);
      const double loss = losses.total.item<double>();
      require(std::isfinite(loss), "the loss of step ", step_,
              " is not finite; lower learning_rate: the newest checkpoint is kept");
      losses.total.backward();
      optimizer_->accumulate();
      const double rate = learning_rate(recipe_.schedule, step_);
      const double norm = optimizer_->step(rate);
      auto& line = losses.values;
      if (trains_encoder()) {
        encoder_->optimizer().accumulate();
        line["encoder_gradient_norm"] =
            encoder_->optimizer().step(rate * recipe_.encoder_learning_rate / recipe_.schedule.peak);
      }
      const double seconds = seconds_since(step_start);
      const auto positions = batch.lengths.sum().item<double>();
      const double weights = static_cast<double>(parameter_count_) +
                             (trains_encoder() ? static_cast<double>(kFramesPerPosition * encoder_->parameters()) : 0);
      const double gflops = 6e-9 * weights * positions / seconds;
      line["step"] = step_;
      line["loss"] = loss;
      line["learning_rate"] = rate;
      line["gradient_norm"] = norm;
      line["seconds"] = seconds;
      line["times_real_time"] = positions / kPositionsPerSecond / seconds;
      line["gflops"] = gflops;
      line["matrix_peak_gflops"] = peak;
      log.write(line);
      ++step_;
      char detail[160];
      std::snprintf(detail, sizeof detail, "loss %.3f, perplexity %.0f, %.0f x real time, %.0f of %.0f GFLOP/s", loss,
                    codebook_.perplexity(), positions / kPositionsPerSecond / seconds, gflops, peak);
      progress.update(step_, detail);
      halt = interrupted() || (stop_seconds > 0 && seconds_since(start) > stop_seconds);
      if (halt || step_ == stop || step_ % recipe_.checkpoint_steps == 0) save();
    }
  }

  void save() const {
    Checkpoint checkpoint;
    checkpoint.step = step_;
    checkpoint.tensors = optimizer_->state();
    checkpoint.tensors.merge(codebook_.state());
    if (encoder_) checkpoint.tensors.merge(encoder_->optimizer().state());
    checkpoint.values = {{"recipe", recipe_.fingerprint()},
                         {"begun_from", begun_from()},
                         {"epoch", sampler_.epoch()},
                         {"position", sampler_.position()}};
    save_checkpoint(recipe_.output, checkpoint);
  }

  void resume() {
    const auto checkpoint = load_newest_checkpoint(recipe_.output, recipe_.fingerprint());
    if (!checkpoint) return;
    require_same_beginning(recipe_.output, *checkpoint, begun_from());
    optimizer_->load_state(checkpoint->tensors);
    codebook_.load_state(checkpoint->tensors);
    if (encoder_) encoder_->optimizer().load_state(checkpoint->tensors);
    sampler_.seek(checkpoint->values.at("epoch"), checkpoint->values.at("position"));
    step_ = checkpoint->step;
    std::fprintf(stderr, "going on from step %lld\n", static_cast<long long>(step_));
  }

  SoundTokenizerRecipe recipe_;
  at::ScalarType type_;
  std::unique_ptr<TrainedEncoder> encoder_;  // null where it is frozen and its output is in the files
  std::vector<FeatureFile> files_;
  PhonemeSet phonemes_;
  int64_t left_out_ = 0, parameter_count_ = 0, step_ = 0;
  std::vector<Clip> clips_;
  ClipSampler sampler_;
  Bottleneck bottleneck_;
  CtcHead head_;
  Codebook codebook_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<WhisperObjective> objective_;
};

bool train_sound_tokenizer(const std::filesystem::path& recipe, const TrainOptions& options) {
  return SoundTokenizerTrainer(SoundTokenizerRecipe::read(recipe)).run(options);
}

}  // namespace ichigo
