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
#include "data/mixture.h"
#include "models/fused_model.h"
#include "nn/linear_cross_entropy.h"
#include "training/checkpoint.h"
#include "training/code_spelling.h"
#include "training/decoder_recipe.h"
#include "training/letter_loss.h"
#include "training/metrics.h"
#include "training/trainers.h"
#include "weights/base_weights.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class DecoderTrainer {
 public:
  DecoderTrainer(const std::filesystem::path& path, DecoderRecipe recipe)
      : recipe_(std::move(recipe)),
        base_(open_model_directory(resolve_base(recipe_.base))),
        prompt_(extended(base_.tokenizer, recipe_.codes), plain_template(base_)),
        sounds_(base_.tokenizer),
        mixture_(recipe_.mixture, prompt_, sounds_, recipe_.loss, recipe_.longest_sample, recipe_.seed) {
    std::fprintf(stderr, "%s: %lld rows, %lld steps of %lld tokens\n", path.c_str(),
                 static_cast<long long>(mixture_.rows()), static_cast<long long>(recipe_.schedule.total_steps),
                 static_cast<long long>(recipe_.step_tokens));
    if (!recipe_.validation.empty()) {
      Mixture validation(recipe_.validation, prompt_, sounds_, LossMask::kAnswer, recipe_.longest_sample, recipe_.seed);
      validation_ = validation.next_step(recipe_.validation_tokens, recipe_.batch_tokens);
    }
    build_model();
  }

  void run(const TrainOptions& options) {
    int64_t step = resume();
    const int64_t total = recipe_.schedule.total_steps;
    const int64_t stop = options.stop_after_steps > 0 ? std::min(total, step + options.stop_after_steps) : total;
    if (step < stop) train_steps(step, stop, options.stop_after_seconds);
    if (completed_ == total) {
      write_language_model(recipe_.output / "model", files_of(base_, model_->config()), ordered_weights(), {},
                           int64_t{2} << 30);
      if (letters_) letters_->save(recipe_.output / "letter_loss.safetensors", optimizer_->master_weights());
      std::fprintf(stderr, "the model is in %s\n", (recipe_.output / "model").c_str());
    }
  }

 private:
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

  void build_model() {
    LlamaConfig config = LlamaConfig::from_json(base_.config);
    auto loaded = load_llama(config, *base_.weights, at::kFloat);
    const int64_t rows = std::max(config.vocab_size, base_.tokenizer.vocabulary_size());
    at::Tensor codebook;
    if (!recipe_.codebook.empty())
      codebook = open_weights(recipe_.codebook)->load("rq.layers.0._codebook.embed").flatten(0, -2);
    const at::ScalarType dtype = recipe_.bf16 ? at::kBFloat16 : at::kFloat;
    const int64_t old_rows = config.vocab_size;
    config.vocab_size = rows;
    model_ = std::make_shared<Llama>(config, at::TensorOptions().dtype(dtype));
    const auto from = loaded->hugging_face_parameters();
    auto to = model_->hugging_face_parameters();
    const at::NoGradGuard no_grad;
    // The optimiser's masters must begin from the float32 values, not from their bfloat16 roundings.
    for (size_t i = 0; i < to.size(); ++i) {
      const bool vocabulary = from[i].second.size(0) == old_rows && to[i].second.size(0) == rows && rows != old_rows;
      const at::Tensor start =
          vocabulary ? extend_embedding(from[i].second, rows, sounds_.id(0), codebook, recipe_.seed) : from[i].second;
      if (vocabulary && !recipe_.spelling.empty()) {
        const auto spelled = spelled_codes(recipe_.spelling, base_.tokenizer, from[i].second, recipe_.seed);
        require(spelled.size(0) == recipe_.codes, recipe_.spelling.string(), " has ", spelled.size(0),
                " codes, the recipe says ", recipe_.codes);
        start.narrow(0, sounds_.id(0), recipe_.codes).copy_(spelled);
      }
      to[i].second.copy_(start);
      masters_[to[i].first] = start;
    }
    if (recipe_.letters.weight > 0) {
      require(0 <= recipe_.letters.layer && recipe_.letters.layer < config.num_hidden_layers, "letter_loss: layer ",
              recipe_.letters.layer, " is not one of the model's ", config.num_hidden_layers, " layers, 0 to ",
              config.num_hidden_layers - 1);
      letters_.emplace(config.hidden_size, dtype, recipe_.seed, recipe_.letters.start);
      for (auto& parameter : letters_->parameters()) to.push_back(parameter);
    }
    optimizer_ = make_optimizer(recipe_.optimizer_kind, to, recipe_.optimizer, config.head_dim, masters_);
    masters_.clear();
    for (auto& [name, parameter] : to) parameter.set_requires_grad(true);
  }

  // Returns the step to begin with.
  int64_t resume() {
    const auto checkpoint = load_newest_checkpoint(recipe_.output);
    if (!checkpoint) return 0;
    optimizer_->load_state(checkpoint->tensors);
    mixture_.load_state(checkpoint->values.at("mixture"));
    tokens_ = checkpoint->values.at("tokens").get<int64_t>();
    completed_ = checkpoint->step;
    std::fprintf(stderr, "resuming after step %lld\n", static_cast<long long>(checkpoint->step));
    return checkpoint->step;
  }

  void save(int64_t step) {
    save_checkpoint(recipe_.output, {step, optimizer_->state(), {{"mixture", mixture_.state()}, {"tokens", tokens_}}});
    completed_ = step;
  }

  struct BatchLoss {
    at::Tensor total;              // what is minimised, a sum over the text's tokens
    double text = 0, letters = 0;  // its parts, unweighted
  };

  BatchLoss loss_of(const PackedBatch& batch) {
    at::Tensor letters;
    const at::Tensor hidden = model_->forward_packed(at::tensor(batch.ids, at::kLong), batch.lengths,
                                                     recipe_.checkpointing, [&](int64_t layer, const at::Tensor& x) {
                                                       if (letters_ && layer == recipe_.letters.layer)
                                                         letters = letters_->loss(x, batch.spoken);
                                                     });
    const at::Tensor rows = hidden.index_select(0, at::tensor(batch.target_rows, at::kLong));
    BatchLoss loss;
    loss.total = linear_cross_entropy(rows, model_->head(), at::tensor(batch.targets, at::kLong));
    loss.text = loss.total.item<double>();
    if (letters.defined()) {
      const auto count = static_cast<double>(batch.targets.size());
      loss.letters = letters.item<double>() * count;
      loss.total = loss.total + letters * (recipe_.letters.weight * count);
    }
    return loss;
  }

  void train_steps(int64_t step, int64_t stop, double stop_seconds) {
    const double peak = measure_matrix_peak();
    const double parameters = static_cast<double>(model_->config().parameters());
    MetricsLog log(recipe_.output, step);
    Progress progress("training", recipe_.schedule.total_steps, "steps", step);
    const auto start = Clock::now();
    int64_t run_tokens = 0;
    double busy = 0;
    for (; step < stop; ++step) {
      const auto step_start = Clock::now();
      double loss = 0, letter_loss = 0;
      int64_t targets = 0;
      int64_t tokens = 0;
      for (const auto& batch : mixture_.next_step(recipe_.step_tokens, recipe_.batch_tokens)) {
        const BatchLoss batch_loss = loss_of(batch);
        batch_loss.total.backward();
        optimizer_->accumulate();
        loss += batch_loss.text;
        letter_loss += batch_loss.letters;
        targets += static_cast<int64_t>(batch.targets.size());
        tokens += static_cast<int64_t>(batch.ids.size());
      }
      const double rate = learning_rate(recipe_.schedule, step);
      const double norm = optimizer_->step(rate, 1.0 / static_cast<double>(targets));
      const double seconds = seconds_since(step_start);
      loss /= static_cast<double>(targets);
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
      if (letters_) line["letter_loss"] = letter_loss / static_cast<double>(targets);
      if (!validation_.empty() && ((step + 1) % recipe_.validation_steps == 0 || step + 1 == stop)) {
        line["validation_loss"] = validate();
      }
      log.write(line);
      const double mean_gflops = 6e-9 * parameters * static_cast<double>(run_tokens) / busy;
      char detail[160];
      std::snprintf(detail, sizeof detail, "loss %.3f, %.0f tokens/s, %.0f GFLOP/s = %.0f %% of the matrix peak %.0f",
                    loss, static_cast<double>(run_tokens) / busy, mean_gflops, 100 * mean_gflops / peak, peak);
      progress.update(step + 1, detail);
      const bool out_of_time = stop_seconds > 0 && seconds_since(start) > stop_seconds;
      if ((step + 1) % recipe_.checkpoint_steps == 0 || step + 1 == stop || out_of_time || interrupted())
        save(step + 1);
      if (out_of_time || interrupted()) break;
    }
  }

  // Mean loss of a fixed drawing of the validation sources.
  double validate() {
    const at::NoGradGuard no_grad;
    double loss = 0;
    size_t targets = 0;
    for (const auto& batch : validation_) {
      loss += loss_of(batch).text;
      targets += batch.targets.size();
    }
    return loss / static_cast<double>(targets);
  }

  std::vector<TensorToWrite> ordered_weights() const {
    const auto masters = optimizer_->master_weights();
    std::vector<TensorToWrite> weights;
    for (const auto& [name, parameter] : model_->hugging_face_parameters())
      weights.emplace_back(name, masters.at(name));
    return weights;
  }

  DecoderRecipe recipe_;
  ModelDirectory base_;
  ChatPrompt prompt_;
  SoundVocabulary sounds_;
  Mixture mixture_;
  std::vector<PackedBatch> validation_;  // a fixed drawing of the validation sources
  std::shared_ptr<Llama> model_;
  std::optional<LetterLoss> letters_;
  std::map<std::string, at::Tensor> masters_;
  std::unique_ptr<Optimizer> optimizer_;
  int64_t completed_ = 0, tokens_ = 0;
};

}  // namespace

void train_decoder(const std::filesystem::path& recipe, const TrainOptions& options) {
  DecoderTrainer(recipe, DecoderRecipe::read(recipe)).run(options);
}

}  // namespace ichigo
