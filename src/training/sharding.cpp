#include "training/sharding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ichigo {
namespace {

// Rows that must stay on one rank: a vector's, which optimisers may treat as one block, and those of a head.
int64_t rows_together(const std::string& name, const at::Tensor& parameter, const LlamaConfig& config) {
  if (parameter.dim() == 1) return parameter.size(0);
  const bool heads = name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight");
  return heads ? config.head_dim : 1;
}

int64_t divide_up(int64_t count, int64_t by) {
  return (count + by - 1) / by;
}

std::vector<int64_t> with_rows(at::IntArrayRef shape, int64_t rows) {
  std::vector<int64_t> sizes = shape.vec();
  sizes[0] = rows;
  return sizes;
}

// Gives a tensor its memory or takes it, on whatever device: views and what autograd saved of it keep pointing there.
void set_memory(const at::Tensor& tensor, bool present) {
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t bytes = present ? tensor.nbytes() : 0;
  if (storage->nbytes() == bytes) return;
  storage->set_data_ptr_noswap(storage->allocator()->allocate(bytes));
  storage->set_nbytes(bytes);
}

}  // namespace

Sharding::Sharding(ProcessGroup& group, Llama& model, const NamedParameters& parameters,
                   std::function<void()> on_gradients)
    : group_(group), on_gradients_(std::move(on_gradients)) {
  const at::NoGradGuard no_grad;
  layers_.resize(model.config().num_hidden_layers);
  for (const auto& [name, whole] : parameters) {
    Parameter parameter;
    parameter.name = name;
    parameter.whole = whole;
    parameter.values = whole.variable_data();
    parameter.rows = whole.size(0);
    parameter.width = whole.numel() / parameter.rows;
    const int64_t together = rows_together(name, whole, model.config());
    parameter.rows_per_rank = divide_up(divide_up(parameter.rows, together), group.ranks()) * together;
    const int64_t layer = layer_of(name);
    Unit& unit = layer < 0 ? rest_.emplace_back() : layers_[layer];
    unit.parameters.push_back(std::move(parameter));
  }
  for (auto* units : {&layers_, &rest_}) {
    for (Unit& unit : *units) {
      int64_t elements = 0;
      for (const auto& parameter : unit.parameters) elements += parameter.count(0) * parameter.width;
      unit.part = at::zeros({elements}, unit.parameters.front().whole.options());
      int64_t offset = 0;
      for (auto& parameter : unit.parameters) {
        const int64_t rows = parameter.count(group.rank());
        parameter.piece =
            unit.part.narrow(0, offset, rows * parameter.width).view(with_rows(parameter.whole.sizes(), rows));
        parameter.piece.copy_(parameter.values.narrow(0, parameter.begin(group.rank()), rows));
        offset += rows * parameter.width;
        set_memory(parameter.whole, false);
        by_name_[parameter.name] = &parameter;
      }
    }
  }
  model.set_layer_use({[this](int64_t layer) { gather(layers_[layer]); },
                       [this](int64_t layer, bool backward) {
                         release(layers_[layer]);
                         if (backward) scatter(layers_[layer]);
                       }});
}

template <typename Visit>
void Sharding::each_slice(const Unit& unit, const Visit& visit) const {
  for (int64_t rank = 0; rank < group_.ranks(); ++rank) {
    int64_t offset = 0;
    for (const auto& parameter : unit.parameters) {
      const int64_t count = parameter.count(rank) * parameter.width;
      if (count > 0) visit(parameter, rank, offset, count);
      offset += count;
    }
  }
}

void Sharding::gather(const Unit& unit) {
  const at::NoGradGuard no_grad;
  const at::Tensor parts = group_.all_gather(unit.part);
  for (const auto& parameter : unit.parameters) set_memory(parameter.whole, true);
  each_slice(unit, [&](const Parameter& parameter, int64_t rank, int64_t begin, int64_t count) {
    const at::Tensor rows = parameter.values.narrow(0, parameter.begin(rank), parameter.count(rank));
    rows.copy_(parts[rank].narrow(0, begin, count).view(rows.sizes()));
  });
}

void Sharding::release(const Unit& unit) {
  for (const auto& parameter : unit.parameters) set_memory(parameter.whole, false);
}

void Sharding::scatter(Unit& unit) {
  const at::NoGradGuard no_grad;
  at::Tensor sums;
  {
    const at::Tensor gradients = at::zeros({group_.ranks(), unit.part.size(0)}, unit.part.options().dtype(at::kFloat));
    each_slice(unit, [&](const Parameter& parameter, int64_t rank, int64_t begin, int64_t count) {
      const at::Tensor& gradient = parameter.whole.grad();
      if (!gradient.defined()) return;
      const at::Tensor rows = gradient.narrow(0, parameter.begin(rank), parameter.count(rank));
      gradients[rank].narrow(0, begin, count).view(rows.sizes()).copy_(rows);
    });
    for (auto& parameter : unit.parameters) parameter.whole.mutable_grad().reset();
    sums = group_.reduce_scatter(gradients);
  }
  int64_t offset = 0;
  for (auto& parameter : unit.parameters) {
    if (parameter.piece.numel() > 0)
      parameter.piece.mutable_grad() = sums.narrow(0, offset, parameter.piece.numel()).view(parameter.piece.sizes());
    offset += parameter.piece.numel();
  }
  on_gradients_();
}

Sharding::NamedParameters Sharding::pieces() const {
  NamedParameters pieces;
  for (const auto* units : {&layers_, &rest_}) {
    for (const Unit& unit : *units) {
      for (const auto& parameter : unit.parameters) {
        if (parameter.piece.numel() > 0) pieces.emplace_back(parameter.name, parameter.piece);
      }
    }
  }
  return pieces;
}

at::Tensor Sharding::own_rows(const std::string& name, const at::Tensor& whole) const {
  const Parameter& parameter = *by_name_.at(name);
  // A state may have one row for several of the parameter's.
  const int64_t begin = parameter.begin(group_.rank()) * whole.size(0);
  const int64_t count = parameter.count(group_.rank()) * whole.size(0);
  require(begin % parameter.rows == 0 && count % parameter.rows == 0, "a state of ", whole.size(0), " rows for ", name,
          ", which has ", parameter.rows, ", cannot be divided among ", group_.ranks(), " ranks");
  return whole.narrow(0, begin / parameter.rows, count / parameter.rows);
}

void Sharding::gather_rest() {
  for (const Unit& unit : rest_) gather(unit);
}

void Sharding::pass(bool learn) {
  for (const Unit& unit : layers_) {
    gather(unit);
    release(unit);
  }
  for (auto unit = layers_.rbegin(); learn && unit != layers_.rend(); ++unit) {
    gather(*unit);
    release(*unit);
    scatter(*unit);
  }
}

void Sharding::scatter_rest() {
  for (Unit& unit : rest_) scatter(unit);
}

void Sharding::free_rest() {
  for (const Unit& unit : rest_) release(unit);
}

const Sharding::Parameter* Sharding::find(const std::string& key) const {
  auto found = by_name_.find(key);
  if (found == by_name_.end()) found = by_name_.find(key.substr(0, key.rfind('.')));
  return found == by_name_.end() ? nullptr : found->second;
}

std::vector<TensorToWrite> Sharding::gathered(const State& parts) {
  // Rank 0 has rows of every parameter, others may have none.
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [key, part] : parts)
    list.push_back({{"key", key}, {"shape", part.sizes().vec()}, {"dtype", static_cast<int>(part.scalar_type())}});
  list = nlohmann::json::parse(group_.text_of_first(list.dump()));
  std::vector<TensorToWrite> tensors;
  for (const auto& item : list) {
    const auto key = item.at("key").get<std::string>();
    const auto first_shape = item.at("shape").get<std::vector<int64_t>>();
    const auto dtype = static_cast<at::ScalarType>(item.at("dtype").get<int>());
    const auto own = parts.find(key);
    const at::Tensor part = own == parts.end() ? at::Tensor() : own->second;
    const Parameter* parameter = find(key);
    if (parameter == nullptr) {
      tensors.emplace_back(key, part);
      continue;
    }
    const int64_t rows = first_shape[0] * parameter->rows / parameter->count(0);
    auto shape = with_rows(first_shape, rows);
    tensors.emplace_back(key, shape, dtype, std::nullopt, [this, parameter, part, rows, shape, dtype] {
      return gather_rows(*parameter, part, rows, shape, dtype);
    });
  }
  return tensors;
}

at::Tensor Sharding::gather_rows(const Parameter& parameter, const at::Tensor& part, int64_t rows,
                                 at::IntArrayRef shape, at::ScalarType dtype) {
  const int64_t width = c10::multiply_integers(shape) / rows;
  const auto elements = [&](int64_t rank) { return parameter.count(rank) * rows / parameter.rows * width; };
  const at::Tensor own = at::zeros({elements(0)}, parameter.piece.options().dtype(dtype));
  if (part.defined()) own.narrow(0, 0, part.numel()).copy_(part.flatten());
  const at::Tensor parts = group_.all_gather(own);
  std::vector<at::Tensor> slices;
  for (int64_t rank = 0; rank < group_.ranks(); ++rank) slices.push_back(parts[rank].narrow(0, 0, elements(rank)));
  return at::cat(slices).view(shape);
}

Sharding::State Sharding::own_part(const State& whole) const {
  State own;
  for (const auto& [key, tensor] : whole) {
    const Parameter* parameter = find(key);
    const at::Tensor part = parameter == nullptr ? tensor : own_rows(parameter->name, tensor);
    if (parameter == nullptr || part.numel() > 0) own[key] = part;
  }
  return own;
}

int64_t Sharding::bytes() const {
  size_t bytes = 0;
  for (const auto* units : {&layers_, &rest_}) {
    for (const Unit& unit : *units) {
      bytes += unit.part.nbytes();
      for (const auto& parameter : unit.parameters) bytes += parameter.whole.storage().nbytes();
    }
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace ichigo
