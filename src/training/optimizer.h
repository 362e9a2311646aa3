// AdamW with float32 master weights (Loshchilov and Hutter 2019; the arithmetic is PyTorch's torch.optim.AdamW).
// Parameters may be bfloat16: the optimiser keeps the float32 truth and writes rounded copies back.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ichigo {

class RecipeNode;

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.01;  // on matrices only when `decay_vectors` is false
  bool decay_vectors = true;   // torch.optim.AdamW decays everything it is given
  double clip = 1.0;           // largest norm of all gradients together; 0: no clipping
  void validate() const;       // throws Error
  // The recipe's keys beta1, beta2, weight_decay and clip; vectors are not decayed.
  static AdamWConfig read(RecipeNode& recipe, const AdamWConfig& defaults);
  std::vector<double> values() const;  // what `read` reads, for a recipe's fingerprint
};

class AdamW {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;
  // `masters`: float32 values by name for parameters that are already rounded; others begin from what they hold.
  AdamW(NamedParameters parameters, const AdamWConfig& config, const std::map<std::string, at::Tensor>& masters = {});

  // Adds each parameter's .grad into the float32 accumulators and clears it (once per microbatch). Parameters
  // without a gradient count as zero.
  void accumulate();
  // Clips, updates with `learning_rate`, clears the accumulators; `scale` multiplies the gradients first
  // (1 / number of target tokens, say). Returns the gradient norm before clipping.
  double step(double learning_rate, double scale = 1.0);
  int64_t steps() const { return steps_; }

  // Everything needed to go on: "NAME.master", "NAME.first", "NAME.second" (float32) and "steps".
  std::map<std::string, at::Tensor> state() const;
  void load_state(const std::map<std::string, at::Tensor>& state);
  // float32 master weights by parameter name: what a finished model is saved from.
  std::map<std::string, at::Tensor> master_weights() const;

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter, master, first, second, gradient;  // gradient: undefined until the first accumulate()
    bool filled = false;                                    // the gradient is of this step
  };
  std::vector<Slot> slots_;
  AdamWConfig config_;
  int64_t steps_ = 0;
};

}  // namespace ichigo
