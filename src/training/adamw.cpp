#include "training/adamw.h"

#include <ATen/ATen.h>

#include <cmath>

#include "training/kernels/optimizer_kernels.h"

namespace ichigo {

AdamW::AdamW(NamedParameters parameters, const OptimizerConfig& config, const Masters& masters)
    : Optimizer(std::move(parameters), config, masters) {
  for (auto& slot : slots_) slot.second = at::zeros_like(slot.master);
}

void AdamW::update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const {
  const auto steps = static_cast<double>(steps_);
  const kernels::AdamWStep step{static_cast<float>(update.gradient_scale),
                                static_cast<float>(update.decay),
                                static_cast<float>(config_.beta1),
                                static_cast<float>(config_.beta2),
                                static_cast<float>(update.learning_rate / (1 - std::pow(config_.beta1, steps))),
                                static_cast<float>(std::sqrt(1 - std::pow(config_.beta2, steps))),
                                static_cast<float>(config_.epsilon)};
  kernels::adamw(count, step, slot.gradient.const_data_ptr<float>() + begin,
                 slot.master.mutable_data_ptr<float>() + begin, slot.first.mutable_data_ptr<float>() + begin,
                 slot.second.mutable_data_ptr<float>() + begin);
}

void AdamW::update_tensor(Slot& slot, const Update& update) const {
  const auto steps = static_cast<double>(steps_);
  const double first_correction = 1 - std::pow(config_.beta1, steps);
  const double second_correction = std::sqrt(1 - std::pow(config_.beta2, steps));
  slot.master.mul_(update.decay);
  slot.first.lerp_(slot.gradient, 1 - config_.beta1);
  slot.second.mul_(config_.beta2).addcmul_(slot.gradient, slot.gradient, 1 - config_.beta2);
  const auto denominator = slot.second.sqrt().div_(second_correction).add_(config_.epsilon);
  slot.master.addcdiv_(slot.first, denominator, -update.learning_rate / first_correction);
}

}  // namespace ichigo
