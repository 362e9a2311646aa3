#include "training/optimizer_choice.h"

#include "base/error.h"
#include "training/adam_mini.h"
#include "training/adamw.h"
#include "training/lion.h"

namespace ichigo {

OptimizerKind parse_optimizer(const std::string& name) {
  if (name == "adamw") return OptimizerKind::kAdamW;
  if (name == "lion") return OptimizerKind::kLion;
  if (name == "adam_mini") return OptimizerKind::kAdamMini;
  fail("unknown optimiser \"", name, "\": use adamw, lion or adam_mini");
}

std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, Optimizer::NamedParameters parameters,
                                          const OptimizerConfig& config, int64_t head_dim,
                                          const Optimizer::Masters& masters) {
  switch (kind) {
    case OptimizerKind::kLion:
      return std::make_unique<Lion>(std::move(parameters), config, masters);
    case OptimizerKind::kAdamMini:
      return std::make_unique<AdamMini>(std::move(parameters), config, head_dim, masters);
    case OptimizerKind::kAdamW:
      break;
  }
  return std::make_unique<AdamW>(std::move(parameters), config, masters);
}

int64_t optimizer_state_size(OptimizerKind kind, const std::string& name, at::IntArrayRef shape, int64_t head_dim) {
  const int64_t size = c10::multiply_integers(shape);
  switch (kind) {
    case OptimizerKind::kLion:
      return size;
    case OptimizerKind::kAdamMini:
      return size + size / adam_mini_block(name, shape, head_dim);
    case OptimizerKind::kAdamW:
      break;
  }
  return 2 * size;
}

}  // namespace ichigo
