// The optimiser that a recipe names.
#pragma once
#include <memory>
#include <string>

#include "training/optimizer.h"

namespace ichigo {

enum class OptimizerKind { kAdamW, kLion, kAdamMini };
// adamw, lion, adam_mini. Throws Error.
OptimizerKind parse_optimizer(const std::string& name);

// `head_dim`: of the model's attention, for Adam-mini.
std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, Optimizer::NamedParameters parameters,
                                          const OptimizerConfig& config, int64_t head_dim,
                                          const Optimizer::Masters& masters = {});
// How many float32 values such an optimiser keeps of a parameter beside its master weight and its gradient.
int64_t optimizer_state_size(OptimizerKind kind, const std::string& name, at::IntArrayRef shape, int64_t head_dim);

}  // namespace ichigo
