#include "training/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/recipe.h"
#include "nn/kernels/row_kernels.h"
#include "training/kernels/optimizer_kernels.h"

namespace ichigo {
namespace {

constexpr int64_t kChunk = 1 << 16;  // elements; fixed, so that sums do not depend on the number of threads

struct Chunk {
  size_t slot;
  int64_t begin, count;
};

bool is_bfloat16(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBFloat16;
}
const uint16_t* bits(const at::Tensor& tensor) {
  return static_cast<const uint16_t*>(tensor.const_data_ptr());
}
uint16_t* mutable_bits(const at::Tensor& tensor) {
  return static_cast<uint16_t*>(tensor.mutable_data_ptr());
}

template <typename Function>
void parallel_elements(int64_t count, Function function) {
  at::parallel_for(0, count, kChunk, [&](int64_t begin, int64_t end) { function(begin, end - begin); });
}

}  // namespace

void OptimizerConfig::validate() const {
  require(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1, "the optimiser's betas must be in [0, 1), not ", beta1,
          " and ", beta2);
  require(epsilon > 0, "the optimiser's epsilon must be above 0, not ", epsilon);
  require(weight_decay >= 0, "weight decay must be 0 or more, not ", weight_decay);
  require(clip >= 0, "the gradient clip must be 0 (none) or more, not ", clip);
}

OptimizerConfig OptimizerConfig::read(RecipeNode& recipe, const OptimizerConfig& defaults) {
  OptimizerConfig config = defaults;
  config.beta1 = recipe.number("beta1", defaults.beta1);
  config.beta2 = recipe.number("beta2", defaults.beta2);
  config.weight_decay = recipe.number("weight_decay", defaults.weight_decay);
  config.clip = recipe.number("clip", defaults.clip);
  config.decay_vectors = false;
  return config;
}

std::vector<double> OptimizerConfig::values() const {
  return {beta1, beta2, weight_decay, clip};
}

Optimizer::Optimizer(NamedParameters parameters, const OptimizerConfig& config,
                     const std::map<std::string, at::Tensor>& masters)
    : config_(config) {
  config.validate();
  for (auto& [name, parameter] : parameters) {
    const auto type = parameter.scalar_type();
    require(type == at::kFloat || type == at::kBFloat16, "parameter ", name, " must be float32 or bfloat16");
    require(parameter.is_contiguous(), "parameter ", name, " must be contiguous");
    Slot slot;
    slot.name = std::move(name);
    slot.parameter = std::move(parameter);
    const auto values = slot.parameter.detach();
    slot.master = type == at::kFloat ? values : values.to(at::kFloat);
    if (const auto given = masters.find(slot.name); given != masters.end()) {
      require(given->second.sizes() == values.sizes(), "the float32 values given for ", slot.name,
              " have another shape than the parameter");
      slot.master.copy_(given->second);
      if (is_bfloat16(slot.parameter)) values.copy_(slot.master);
    }
    slot.first = at::zeros_like(slot.master);
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::accumulate() {
  for (auto& slot : slots_) {
    auto& stored = slot.parameter.mutable_grad();
    if (!stored.defined()) continue;
    at::Tensor gradient = std::move(stored);
    stored = at::Tensor();
    gradient = gradient.contiguous();
    const bool first = !slot.filled;
    slot.filled = true;
    if (!slot.parameter.is_cpu()) {
      if (first) {
        slot.gradient = gradient.to(at::kFloat);
      } else {
        slot.gradient.add_(gradient);
      }
      continue;
    }
    if (first && gradient.scalar_type() == at::kFloat && gradient.storage().use_count() == 1) {
      slot.gradient = gradient;
      continue;
    }
    if (!slot.gradient.defined()) slot.gradient = at::empty(slot.master.sizes(), slot.master.options());
    float* to = slot.gradient.mutable_data_ptr<float>();
    if (is_bfloat16(gradient)) {
      const auto convert = first ? kernels::widen : kernels::add_bfloat16;
      parallel_elements(gradient.numel(),
                        [&](int64_t begin, int64_t count) { convert(bits(gradient) + begin, to + begin, count); });
    } else if (first) {
      slot.gradient.copy_(gradient);
    } else {
      const float* from = gradient.const_data_ptr<float>();
      parallel_elements(gradient.numel(),
                        [&](int64_t begin, int64_t count) { kernels::add_float(from + begin, to + begin, count); });
    }
  }
}

double Optimizer::step(double learning_rate, double scale) {
  std::vector<Chunk> chunks;
  const bool on_cpu = slots_.empty() || slots_.front().parameter.is_cpu();
  for (size_t i = 0; i < slots_.size(); ++i) {
    auto& slot = slots_[i];
    if (!slot.filled) {
      if (slot.gradient.defined()) {
        slot.gradient.zero_();
      } else {
        slot.gradient = at::zeros_like(slot.master);
      }
    }
    const int64_t size = slot.master.numel(), chunk = slot.block * std::max<int64_t>(1, kChunk / slot.block);
    for (int64_t begin = 0; on_cpu && begin < size; begin += chunk) {
      chunks.push_back({i, begin, std::min(chunk, size - begin)});
    }
  }
  double squares = 0;
  if (on_cpu) {
    std::vector<double> sums(chunks.size());
    at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        sums[c] = kernels::sum_of_squares(chunks[c].count,
                                          slots_[chunks[c].slot].gradient.const_data_ptr<float>() + chunks[c].begin);
      }
    });
    for (const double sum : sums) squares += sum;
  } else {
    at::Tensor sum = at::zeros({}, slots_.front().master.options().dtype(at::kDouble));
    for (const auto& slot : slots_) sum += slot.gradient.square().sum(at::kDouble);
    squares = sum.item<double>();  // the only wait for the device
  }
  const double norm = std::sqrt(sum_over_ranks_ ? sum_over_ranks_(squares) : squares) * scale;
  require(std::isfinite(norm), "the gradient of step ", steps_ + 1,
          " is not finite; lower the learning rate and go on from the newest checkpoint");
  if (config_.clip > 0) scale *= std::min(1.0, config_.clip / (norm + 1e-6));

  ++steps_;
  auto update_of = [&](const Slot& slot) {
    const bool decays = config_.decay_vectors || slot.master.dim() > 1;
    return Update{learning_rate, scale, 1 - (decays ? learning_rate * config_.weight_decay : 0)};
  };
  if (on_cpu) {
    at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        auto& slot = slots_[chunks[c].slot];
        const int64_t offset = chunks[c].begin, count = chunks[c].count;
        update_elements(slot, offset, count, update_of(slot));
        if (is_bfloat16(slot.parameter)) {
          kernels::narrow(slot.master.const_data_ptr<float>() + offset, mutable_bits(slot.parameter) + offset, count);
        }
      }
    });
  } else {
    const at::NoGradGuard no_gradient;
    for (auto& slot : slots_) {
      slot.gradient.mul_(scale);
      update_tensor(slot, update_of(slot));
      if (is_bfloat16(slot.parameter)) slot.parameter.detach().copy_(slot.master);
    }
  }
  for (auto& slot : slots_) slot.filled = false;
  return norm;
}

std::map<std::string, at::Tensor> Optimizer::state() const {
  std::map<std::string, at::Tensor> state;
  for (const auto& slot : slots_) {
    state[slot.name + ".master"] = slot.master;
    state[slot.name + ".first"] = slot.first;
    if (slot.second.defined()) state[slot.name + ".second"] = slot.second;
  }
  state["steps"] = at::full({1}, steps_, at::kLong);
  return state;
}

void Optimizer::load_state(const std::map<std::string, at::Tensor>& state) {
  auto find = [&](const std::string& name, const at::Tensor& like) -> const at::Tensor& {
    const auto found = state.find(name);
    require(found != state.end(), "the optimiser's state has no \"", name, "\"");
    require(found->second.sizes() == like.sizes() && found->second.scalar_type() == like.scalar_type(),
            "the optimiser's state has \"", name, "\" in another shape or type than the model's");
    return found->second;
  };
  const at::NoGradGuard no_gradient;
  for (auto& slot : slots_) {
    slot.master.copy_(find(slot.name + ".master", slot.master));
    slot.first.copy_(find(slot.name + ".first", slot.first));
    if (slot.second.defined()) {
      slot.second.copy_(find(slot.name + ".second", slot.second));
    } else {
      require(!state.contains(slot.name + ".second"), "the state is another optimiser's: this one has no \"", slot.name,
              ".second\"; go on with the optimiser that the run began with");
    }
    if (is_bfloat16(slot.parameter)) slot.parameter.detach().copy_(slot.master);
    slot.filled = false;
  }
  steps_ = find("steps", at::empty({1}, at::kLong)).item<int64_t>();
}

std::map<std::string, at::Tensor> Optimizer::master_weights() const {
  std::map<std::string, at::Tensor> weights;
  for (const auto& slot : slots_) weights[slot.name] = slot.master;
  return weights;
}

}  // namespace ichigo
