#include "training/adam_mini.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "training/kernels/optimizer_kernels.h"

namespace ichigo {

int64_t adam_mini_block(const std::string& name, at::IntArrayRef shape, int64_t head_dim) {
  if (shape.size() < 2 && name.find("bias") != std::string::npos) return 1;
  const int64_t columns = std::max<int64_t>(1, c10::multiply_integers(shape.size() < 2 ? shape : shape.slice(1)));
  if (shape.size() < 2) return columns;
  const bool by_head = name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
  if (!by_head) return columns;
  require(head_dim > 0 && shape[0] % head_dim == 0, "Adam-mini: the ", shape[0], " rows of ", name,
          " are not whole heads of ", head_dim);
  return head_dim * columns;
}

AdamMini::AdamMini(NamedParameters parameters, const OptimizerConfig& config, int64_t head_dim, const Masters& masters)
    : Optimizer(std::move(parameters), config, masters) {
  config_.decay_vectors = false;
  for (auto& slot : slots_) {
    slot.block = adam_mini_block(slot.name, slot.master.sizes(), head_dim);
    slot.second = at::zeros({slot.master.numel() / slot.block}, slot.master.options());
  }
}

void AdamMini::update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const {
  const auto steps = static_cast<double>(steps_);
  const double first_correction = 1 - std::pow(config_.beta1, steps);
  const double second_correction = std::sqrt(1 - std::pow(config_.beta2, steps));
  const double scale = update.gradient_scale;
  for (int64_t at = begin; at < begin + count; at += slot.block) {
    const float* gradient = slot.gradient.const_data_ptr<float>() + at;
    float& second = slot.second.mutable_data_ptr<float>()[at / slot.block];
    const double mean_square =
        kernels::sum_of_squares(slot.block, gradient) * scale * scale / static_cast<double>(slot.block);
    second = static_cast<float>(config_.beta2 * second + (1 - config_.beta2) * mean_square);
    const double denominator = std::sqrt(static_cast<double>(second)) / second_correction + config_.epsilon;
    const kernels::MomentumStep step{static_cast<float>(scale), static_cast<float>(update.decay),
                                     static_cast<float>(config_.beta1),
                                     static_cast<float>(update.learning_rate / first_correction / denominator)};
    kernels::momentum(slot.block, step, gradient, slot.master.mutable_data_ptr<float>() + at,
                      slot.first.mutable_data_ptr<float>() + at);
  }
}

void AdamMini::update_tensor(Slot& slot, const Update& update) const {
  const auto steps = static_cast<double>(steps_);
  const double first_correction = 1 - std::pow(config_.beta1, steps);
  const double second_correction = std::sqrt(1 - std::pow(config_.beta2, steps));
  const auto mean_squares = slot.gradient.view({-1, slot.block}).square().mean(1);
  slot.second.mul_(config_.beta2).add_(mean_squares, 1 - config_.beta2);
  slot.master.mul_(update.decay);
  slot.first.lerp_(slot.gradient, 1 - config_.beta1);
  const auto denominator = slot.second.sqrt().div_(second_correction).add_(config_.epsilon).unsqueeze(1);
  slot.master.view({-1, slot.block})
      .addcdiv_(slot.first.view({-1, slot.block}), denominator, -update.learning_rate / first_correction);
}

}  // namespace ichigo
