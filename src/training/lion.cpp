#include "training/lion.h"

#include <ATen/ATen.h>

#include "training/kernels/optimizer_kernels.h"

namespace ichigo {

Lion::Lion(NamedParameters parameters, const OptimizerConfig& config, const Masters& masters)
    : Optimizer(std::move(parameters), config, masters) {}

void Lion::update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const {
  const kernels::LionStep step{static_cast<float>(update.gradient_scale), static_cast<float>(update.decay),
                               static_cast<float>(config_.beta1), static_cast<float>(config_.beta2),
                               static_cast<float>(update.learning_rate)};
  kernels::lion(count, step, slot.gradient.const_data_ptr<float>() + begin,
                slot.master.mutable_data_ptr<float>() + begin, slot.first.mutable_data_ptr<float>() + begin);
}

void Lion::update_tensor(Slot& slot, const Update& update) const {
  const auto direction = slot.first.mul(config_.beta1).add_(slot.gradient, 1 - config_.beta1).sign_();
  slot.master.mul_(update.decay).sub_(direction, update.learning_rate);
  slot.first.mul_(config_.beta2).add_(slot.gradient, 1 - config_.beta2);
}

}  // namespace ichigo
