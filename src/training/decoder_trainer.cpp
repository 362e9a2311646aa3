// Teaches a Llama decoder sound tokens: stage 1 (transcribed speech) and stage 2 (spoken instructions, transcription,
// text) of Ichigo's recipe (arXiv 2410.15316, section 3). Not here: the recipe (training/decoder_recipe), the mixture
// (data/mixture), the optimisers (training/optimizer).
#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/device.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/recipe.h"
#include "base/stopwatch.h"
#include "data/mixture.h"
#include "models/fused_model.h"
#include "nn/linear_cross_entropy.h"
#include "training/checkpoint.h"
#include "training/code_spelling.h"
#include "training/decoder_recipe.h"
#include "training/letter_loss.h"
#include "training/metrics.h"
#include "training/process_group.h"
#include "training/sharding.h"
#include "training/trainers.h"
#include "weights/base_weights.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

using Clock = std::chrono::steady_clock;

// A vector that no training leaves as it was tells one base from another of the same name.
constexpr const char* kFinalNormName = "model.norm.weight";

// The weights that a model begins on its way to (DecoderRecipe::blend_with).
class BlendedWeights {
 public:
  explicit BlendedWeights(const DecoderRecipe& recipe) : path_(recipe.blend_with), share_(recipe.blend_share) {
    if (path_.empty()) return;
    model_.emplace(open_model_directory(resolve_base(path_)));
    for (const TensorToWrite& tensor : llama_tensors(LlamaConfig::from_json(model_->config), *model_->weights)) {
      tensors_.emplace(tensor.name, tensor);
    }
  }

  // Rows of the vocabulary that the other model lacks stay as they are.
  at::Tensor towards(const std::string& name, const at::Tensor& start) const {
    if (path_.empty()) return start;
    const auto found = tensors_.find(name);
    require(found != tensors_.end(), path_.string(), " has no ", name, ": blend only with a model of the same shape");
    const at::Tensor other = found->second.load().to(at::kFloat);
    require(other.dim() == start.dim() && other.sizes().slice(1) == start.sizes().slice(1) &&
                (is_embedding(name) ? other.size(0) <= start.size(0) : other.size(0) == start.size(0)),
            path_.string(), ": ", name,
            " has another shape than the base's: blend only with a model of the same shape");
    const int64_t rows =
        is_embedding(name) ? std::min(other.size(0), model_->tokenizer.vocabulary_size()) : other.size(0);
    at::Tensor blended = start.clone();
    blended.narrow(0, 0, rows).lerp_(other.narrow(0, 0, rows), share_);
    return blended;
  }

 private:
  std::filesystem::path path_;
  double share_;
  std::optional<ModelDirectory> model_;
  std::map<std::string, TensorToWrite> tensors_;
};

class DecoderTrainer {
 public:
  DecoderTrainer(const std::filesystem::path& path, DecoderRecipe recipe, ProcessGroup& group, at::Device device)
      : group_(group),
        device_(device),
        recipe_(std::move(recipe)),
        base_(open_model_directory(resolve_base(recipe_.base))),
        known_(base_.tokenizer.vocabulary_size()),
        prompt_(extended(base_.tokenizer, recipe_.codes), plain_template(base_)),
        sounds_(base_.tokenizer),
        ear_(open_ear(recipe_.adapter)),
        mixture_(recipe_.mixture, prompt_, sounds_, recipe_.loss, recipe_.longest_sample, recipe_.seed,
                 feature_width()) {
    group_.require_same("recipe", recipe_text(path));
    group_.require_same("set of rows to train on", mixture_.state().dump());
    say(concat(path.string(), ": ", mixture_.rows(), " rows, ", recipe_.schedule.total_steps, " steps of ",
               recipe_.step_tokens, " tokens", group_.ranks() > 1 ? concat(", ", group_.ranks(), " ranks") : ""));
    if (!recipe_.validation.empty()) {
      Mixture validation(recipe_.validation, prompt_, sounds_, LossMask::kAnswer, recipe_.longest_sample, recipe_.seed,
                         feature_width());
      group_.require_same("set of rows to validate on", validation.state().dump());
      validation_ = validation.next_step(recipe_.validation_tokens, recipe_.batch_tokens);
    }
    build_model();
    group_.require_same("base", base_mark_);
  }

  bool run(const TrainOptions& options) {
    int64_t step = resume();
    const int64_t total = recipe_.schedule.total_steps;
    const int64_t stop = options.last_step(step, total);
    if (step < stop) train_steps(step, stop, options.stop_after_seconds);
    if (completed_ == total) write_model();
    group_.barrier();
    return completed_ == total;
  }

 private:
  void say(const std::string& line) const {
    if (group_.first()) std::fprintf(stderr, "%s\n", line.c_str());
  }

  // A model that hears is trained without a system message; its template, which is saved with it, has none to add.
  static ChatTemplate plain_template(ModelDirectory& base) {
    const ChatFormat format = recognize_chat_template(base.chat_template).format;
    base.chat_template = plain_chat_template(format);
    return {format, "", ""};
  }

  static const BytePairTokenizer& extended(BytePairTokenizer& tokenizer, int64_t codes) {
    if (tokenizer.id_of(sound_token(0)) < 0) SoundVocabulary::extend(tokenizer, codes);
    return tokenizer;
  }

  static std::optional<SoundTokenizer> open_ear(const EarFiles& files) {
    if (files.empty()) return std::nullopt;
    SoundTokenizer ear = SoundTokenizer::load(resolve_base(files.sound_tokenizer), resolve_base(files.whisper));
    require(!ear.streaming(), files.whisper.string(), ": an adapter needs a Whisper that hears whole clips");
    return ear;
  }

  int64_t feature_width() const { return ear_ ? ear_->config().width : 0; }

  void build_model() {
    LlamaConfig config = LlamaConfig::from_json(base_.config);
    const auto base_tensors = llama_tensors(config, *base_.weights);
    const int64_t rows = std::max(config.vocab_size, base_.tokenizer.vocabulary_size());
    at::Tensor codebook;
    if (!recipe_.codebook.empty())
      codebook = open_weights(recipe_.codebook)->load("rq.layers.0._codebook.embed").flatten(0, -2);
    const auto options = at::TensorOptions().dtype(recipe_.bf16 ? fast_dtype(device_) : at::kFloat).device(device_);
    config.vocab_size = rows;
    model_ = std::make_shared<Llama>(config, options);
    auto parameters = model_->hugging_face_parameters();
    if (recipe_.letters.weight > 0) {
      require(0 <= recipe_.letters.layer && recipe_.letters.layer < config.num_hidden_layers, "letter_loss: layer ",
              recipe_.letters.layer, " is not one of the model's ", config.num_hidden_layers, " layers, 0 to ",
              config.num_hidden_layers - 1);
      letters_.emplace(config.hidden_size, options, recipe_.seed, recipe_.letters.start);
      for (auto& parameter : letters_->parameters()) parameters.push_back(parameter);
    }
    std::optional<SpeechAdapter> adapter_start;
    if (ear_) {
      const auto old = find_ear(base_.path).adapter;
      adapter_start = old.empty()
                          ? SpeechAdapter::random(feature_width(), base_.weights->load(kEmbeddingName), recipe_.seed)
                          : SpeechAdapter::load(old, feature_width(), config.hidden_size);
      adapter_ = adapter_start->to(options);
      for (auto& parameter : adapter_->parameters()) parameters.push_back(parameter);
    }
    if (group_.ranks() > 1) sharding_.emplace(group_, *model_, parameters, [this] { optimizer_->accumulate(); });
    const at::NoGradGuard no_grad;
    // The optimiser's masters must begin from the float32 values, not from their bfloat16 roundings.
    std::map<std::string, at::Tensor> masters;
    const auto begin_with = [&](const std::string& name, const at::Tensor& start) {
      masters[name] = sharding_ ? sharding_->own_rows(name, start).clone() : start;
    };
    if (adapter_start) {
      for (const auto& [name, start] : adapter_start->parameters()) begin_with(name, start);
    }
    const BlendedWeights blend(recipe_);
    for (const TensorToWrite& tensor : base_tensors) {
      const at::Tensor from = tensor.load().to(at::kFloat);
      if (tensor.name == kFinalNormName) base_mark_ = mark_of(from);
      // Rows that the base has to spare are not trained: they begin anew like the added ones.
      const bool vocabulary = is_embedding(tensor.name) && base_.tokenizer.vocabulary_size() != known_;
      const at::Tensor start =
          vocabulary ? extend_embedding(from.narrow(0, 0, known_), rows, sounds_.id(0), codebook, recipe_.seed) : from;
      if (vocabulary && !recipe_.spelling.empty()) {
        const auto spelled = spelled_codes(recipe_.spelling, base_.tokenizer, from, recipe_.seed);
        require(spelled.size(0) == recipe_.codes, recipe_.spelling.string(), " has ", spelled.size(0),
                " codes, the recipe says ", recipe_.codes);
        start.narrow(0, sounds_.id(0), recipe_.codes).copy_(spelled);
      }
      begin_with(tensor.name, blend.towards(tensor.name, start));
    }
    optimizer_ = make_optimizer(recipe_.optimizer_kind, sharding_ ? sharding_->pieces() : parameters, recipe_.optimizer,
                                config.head_dim, masters);
    if (sharding_) optimizer_->sum_norm_over_ranks([this](double squares) { return group_.sum(squares); });
    for (auto& [name, parameter] : parameters) parameter.set_requires_grad(true);
  }

  // Returns the step to begin with.
  int64_t resume() {
    const auto checkpoint = load_newest_checkpoint(recipe_.output, recipe_.fingerprint());
    group_.require_same("newest checkpoint", concat(checkpoint ? checkpoint->step : 0));
    if (!checkpoint) return 0;
    require_same_beginning(recipe_.output, *checkpoint, base_mark_);
    require(checkpoint->step <= recipe_.schedule.total_steps, "the checkpoints in ", recipe_.output.string(),
            " are at step ", checkpoint->step, ", but the recipe ends at ", recipe_.schedule.total_steps,
            ": raise \"steps\", or use another \"output\"");
    optimizer_->load_state(sharding_ ? sharding_->own_part(checkpoint->tensors) : checkpoint->tensors);
    mixture_.load_state(checkpoint->values.at("mixture"));
    tokens_ = checkpoint->values.at("tokens").get<int64_t>();
    completed_ = checkpoint->step;
    say(concat("resuming after step ", checkpoint->step));
    return checkpoint->step;
  }

  void save(int64_t step) {
    const nlohmann::json values = {{"recipe", recipe_.fingerprint()},
                                   {"begun_from", base_mark_},
                                   {"mixture", mixture_.state()},
                                   {"tokens", tokens_}};
    write_whole(whole(optimizer_->state()), [&](const std::vector<TensorToWrite>& tensors) {
      save_checkpoint(recipe_.output, step, tensors, values);
    });
    completed_ = step;
  }

  std::vector<TensorToWrite> whole(const std::map<std::string, at::Tensor>& state) {
    if (sharding_) return sharding_->gathered(state);
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : state) tensors.emplace_back(name, tensor);
    return tensors;
  }

  // Rank 0 writes what the others help to bring together, tensor by tensor.
  template <typename Write>
  void write_whole(const std::vector<TensorToWrite>& tensors, const Write& write) {
    if (group_.first()) return write(tensors);
    for (const TensorToWrite& tensor : tensors) tensor.load();
  }

  void write_model() {
    std::map<std::string, TensorToWrite> masters;
    for (const TensorToWrite& tensor : whole(optimizer_->master_weights())) masters.emplace(tensor.name, tensor);
    if (adapter_) {
      const SpeechAdapter trained{masters.at(SpeechAdapter::kWeight).load(), masters.at(SpeechAdapter::kBias).load()};
      if (group_.first()) write_ear(recipe_.output / "model", *ear_, at::kFloat, {}, &trained);
    }
    std::vector<TensorToWrite> weights;
    for (const auto& [name, parameter] : model_->hugging_face_parameters()) weights.push_back(masters.at(name));
    write_whole(weights, [&](const std::vector<TensorToWrite>& tensors) {
      write_language_model(recipe_.output / "model", files_of(base_, model_->config()), tensors, {}, int64_t{2} << 30);
    });
    if (letters_) {
      std::map<std::string, at::Tensor> trained;
      for (const auto& [name, parameter] : letters_->parameters()) trained[name] = masters.at(name).load();
      if (group_.first()) letters_->save(recipe_.output / "letter_loss.safetensors", trained);
    }
    say(concat("the model is in ", (recipe_.output / "model").string()));
  }

  struct BatchLoss {
    at::Tensor total;              // what is minimised, a sum over the text's tokens
    double text = 0, letters = 0;  // its parts, unweighted
  };

  // `targets_per_letter`: of the whole step, so that the letters' mean weighs as much as the text's, however a step is
  // divided into batches.
  BatchLoss loss_of(const PackedBatch& batch, double targets_per_letter) {
    const auto indices = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device_); };
    at::Tensor letters, vectors;
    if (batch.features.defined()) vectors = adapter_->forward(batch.features.to(device_));
    const at::Tensor hidden = model_->forward_packed(
        indices(batch.ids), batch.lengths, recipe_.checkpointing,
        [&](int64_t layer, const at::Tensor& x) {
          if (letters_ && layer == recipe_.letters.layer) letters = letters_->loss(x, batch.spoken);
        },
        vectors);
    const at::Tensor rows = hidden.index_select(0, indices(batch.target_rows));
    BatchLoss loss;
    loss.total = linear_cross_entropy(rows, model_->head(), indices(batch.targets));
    loss.text = loss.total.item<double>();
    if (letters.defined()) {
      loss.letters = letters.item<double>() * targets_per_letter;
      loss.total = loss.total + letters * (recipe_.letters.weight * targets_per_letter);
    }
    return loss;
  }

  struct Sums {
    double text = 0, letters = 0, targets = 0, tokens = 0;
  };

  // All ranks' batches: each takes every ranks()-th one. With `learn`, the optimiser has their gradients afterwards.
  Sums run_batches(const std::vector<PackedBatch>& batches, bool learn) {
    const at::AutoGradMode gradients(learn);
    Sums sums;
    double targets = 0, letters = 0;
    for (const PackedBatch& batch : batches) {
      targets += static_cast<double>(batch.targets.size());
      letters += static_cast<double>(count_letters(batch.spoken));
    }
    if (sharding_) sharding_->gather_rest();
    const auto ranks = static_cast<size_t>(group_.ranks());
    for (size_t i = group_.rank(); i < (batches.size() + ranks - 1) / ranks * ranks; i += ranks) {
      if (i < batches.size()) {
        const BatchLoss loss = loss_of(batches[i], targets / std::max(1.0, letters));
        if (learn) loss.total.backward();
        sums.text += loss.text;
        sums.letters += loss.letters;
        sums.targets += static_cast<double>(batches[i].targets.size());
        sums.tokens += static_cast<double>(batches[i].ids.size());
      } else {
        sharding_->pass(learn);
      }
      if (learn && sharding_) sharding_->scatter_rest();
      if (learn && !sharding_) optimizer_->accumulate();
    }
    if (sharding_) sharding_->free_rest();
    const auto all = group_.sum({sums.text, sums.letters, sums.targets, sums.tokens});
    return {all[0], all[1], all[2], all[3]};
  }

  void train_steps(int64_t step, int64_t stop, double stop_seconds) {
    const double peak = group_.sum(measure_matrix_peak(device_));
    const double parameters = static_cast<double>(model_->config().parameters());
    std::optional<MetricsLog> log;
    std::optional<Progress> progress;
    if (group_.first()) {
      log.emplace(recipe_.output, step);
      progress.emplace("training", recipe_.schedule.total_steps, "steps", step);
    }
    const auto start = Clock::now();
    int64_t run_tokens = 0;
    double busy = 0;
    for (; step < stop; ++step) {
      const auto step_start = Clock::now();
      const Sums sums = run_batches(mixture_.next_step(recipe_.step_tokens, recipe_.batch_tokens), true);
      const double rate = learning_rate(recipe_.schedule, step);
      const double norm = optimizer_->step(rate, 1.0 / sums.targets);
      const double seconds = seconds_since(step_start);
      const double loss = sums.text / sums.targets;
      const auto tokens = static_cast<int64_t>(sums.tokens);
      require(std::isfinite(loss) && std::isfinite(norm), "training diverged at step ", step, " (loss ", loss,
              ", gradient norm ", norm, "): lower learning_rate; the checkpoint before it is kept");
      run_tokens += tokens;
      tokens_ += tokens;
      busy += seconds;
      const double gflops = 6e-9 * parameters * static_cast<double>(tokens) / seconds;
      nlohmann::json line = {{"step", step},          {"loss", loss},
                             {"learning_rate", rate}, {"gradient_norm", norm},
                             {"tokens", tokens_},     {"tokens_per_s", tokens / seconds},
                             {"gflops", gflops},      {"matrix_peak_gflops", peak}};
      if (letters_) line["letter_loss"] = sums.letters / sums.targets;
      if (!validation_.empty() && ((step + 1) % recipe_.validation_steps == 0 || step + 1 == stop)) {
        const Sums validation = run_batches(validation_, false);
        line["validation_loss"] = validation.text / validation.targets;
      }
      if (log) log->write(line);
      const double mean_gflops = 6e-9 * parameters * static_cast<double>(run_tokens) / busy;
      char detail[160];
      std::snprintf(detail, sizeof detail, "loss %.3f, %.0f tokens/s, %.0f GFLOP/s = %.0f %% of the matrix peak %.0f",
                    loss, static_cast<double>(run_tokens) / busy, mean_gflops, 100 * mean_gflops / peak, peak);
      if (progress) progress->update(step + 1, detail);
      const bool out_of_time = stop_seconds > 0 && seconds_since(start) > stop_seconds;
      const bool last = group_.sum(out_of_time || interrupted() ? 1 : 0) > 0;
      if ((step + 1) % recipe_.checkpoint_steps == 0 || step + 1 == stop || last) save(step + 1);
      if (last) break;
    }
  }

  ProcessGroup& group_;
  at::Device device_;
  DecoderRecipe recipe_;
  ModelDirectory base_;
  int64_t known_;  // tokens of the base itself
  ChatPrompt prompt_;
  SoundVocabulary sounds_;
  std::optional<SoundTokenizer> ear_;  // with an adapter
  Mixture mixture_;
  std::vector<PackedBatch> validation_;  // a fixed drawing of the validation sources
  std::shared_ptr<Llama> model_;
  std::optional<LetterLoss> letters_;
  std::optional<SpeechAdapter> adapter_;  // as it is computed with
  std::optional<Sharding> sharding_;      // with several ranks
  std::unique_ptr<Optimizer> optimizer_;
  std::string base_mark_;
  int64_t completed_ = 0, tokens_ = 0;
};

}  // namespace

bool train_decoder(const std::filesystem::path& recipe, const TrainOptions& options) {
  const auto config = ProcessGroupConfig::from_environment();
  at::Device device = options.device.value_or(parse_device("auto"));
  // Each rank of a machine has a GPU of its own.
  if (device.is_cuda() && config.ranks > 1) device.set_index(static_cast<at::DeviceIndex>(config.local_rank));
  ProcessGroup group(config, device);
  return DecoderTrainer(recipe, DecoderRecipe::read(recipe), group, device).run(options);
}

}  // namespace ichigo
