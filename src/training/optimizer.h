// What every optimiser does alike: it gathers the gradients of microbatches, clips them, keeps float32 master weights
// (parameters may be bfloat16: rounded copies are written back) and saves its state. The rules by which weights move
// are in training/adamw, training/lion and training/adam_mini; training/optimizer_choice picks one by name.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ichigo {

class RecipeNode;

struct OptimizerConfig {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.01;  // decoupled; on matrices only when `decay_vectors` is false
  bool decay_vectors = true;   // torch.optim.AdamW decays everything it is given
  double clip = 1.0;           // largest norm of all gradients together; 0: no clipping
  void validate() const;       // throws Error
  // The recipe's keys beta1, beta2, weight_decay and clip; vectors are not decayed.
  static OptimizerConfig read(RecipeNode& recipe, const OptimizerConfig& defaults);
  std::vector<double> values() const;  // what `read` reads, for a recipe's fingerprint
};

class Optimizer {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;
  // float32 values by name for parameters that are already rounded; others begin from what they hold.
  using Masters = std::map<std::string, at::Tensor>;
  virtual ~Optimizer() = default;

  // Adds each parameter's .grad into the float32 accumulators and clears it (once per microbatch). Parameters
  // without a gradient count as zero.
  void accumulate();
  // Clips, updates with `learning_rate`, clears the accumulators; `scale` multiplies the gradients first
  // (1 / number of target tokens, say). Returns the gradient norm before clipping.
  double step(double learning_rate, double scale = 1.0);
  int64_t steps() const { return steps_; }
  // Where each rank holds a part of the parameters: `sum` makes of the gradients' squared norm here that of all ranks
  // together, by which all clip alike. Called once in every step.
  void sum_norm_over_ranks(std::function<double(double squared_norm)> sum) { sum_over_ranks_ = std::move(sum); }

  // Everything needed to go on: "NAME.master", "NAME.first", for most "NAME.second" (float32) and "steps".
  std::map<std::string, at::Tensor> state() const;
  // Throws Error when it is not the state of these parameters under this kind of optimiser.
  void load_state(const std::map<std::string, at::Tensor>& state);
  // float32 master weights by parameter name: what a finished model is saved from.
  Masters master_weights() const;

 protected:
  struct Slot {
    std::string name;
    at::Tensor parameter, master, gradient;  // gradient: undefined until the first accumulate()
    at::Tensor first, second;                // moments; `second` is undefined where the rule has none
    int64_t block = 1;                       // elements that share one of `second`
    bool filled = false;                     // the gradient is of this step
  };
  struct Update {
    double learning_rate;
    double gradient_scale;  // clipping included
    double decay;           // 1 - learning_rate * weight_decay
  };

  Optimizer(NamedParameters parameters, const OptimizerConfig& config, const Masters& masters);
  // The rule on the processor, for elements [begin, begin + count) of a slot (whole blocks, of a gradient that is not
  // scaled yet); called from many threads at once. steps_ counts this step already.
  virtual void update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const = 0;
  // The rule by tensor operations, for other devices; the gradient is scaled.
  virtual void update_tensor(Slot& slot, const Update& update) const = 0;

  std::vector<Slot> slots_;
  OptimizerConfig config_;
  int64_t steps_ = 0;

 private:
  std::function<double(double)> sum_over_ranks_;
};

}  // namespace ichigo
