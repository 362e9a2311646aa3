// Sharded data parallelism (ZeRO stage 3, Rajbhandari et al. 2020; divided by rows as PyTorch's FSDP2 does): each rank
// holds some rows of every parameter, and with them their gradients and optimiser state. A layer's parameters are whole
// only while it is used; its gradients are summed over the ranks as soon as they are there, in float32.
#pragma once
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/llama.h"
#include "training/process_group.h"
#include "weights/tensor_to_write.h"

namespace ichigo {

class Sharding {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;
  // Takes the memory of `parameters`: all of the model's and others that are trained with it. From here on they have
  // values only between gather_rest() and free_rest(), those of a layer only while forward_packed or its backward pass
  // uses it. `on_gradients` is called whenever some of pieces() have got a gradient.
  Sharding(ProcessGroup& group, Llama& model, const NamedParameters& parameters, std::function<void()> on_gradients);
  Sharding(const Sharding&) = delete;
  Sharding& operator=(const Sharding&) = delete;

  // This rank's rows of each parameter that has any here, uninitialised: what the optimiser is given. What is written
  // to them all ranks see at the next use.
  NamedParameters pieces() const;
  // This rank's rows of a tensor that belongs to the parameter `name`: [rows, ...] -> [rows here, ...], a view.
  at::Tensor own_rows(const std::string& name, const at::Tensor& whole) const;

  // Collectives. A step: gather_rest(), then for every batch forward_packed, backward and scatter_rest(), then
  // free_rest(). A rank without a batch calls pass() in place of forward_packed and, to `learn`, backward.
  void gather_rest();
  void pass(bool learn);
  void scatter_rest();
  void free_rest();

  // A state by "PARAMETER" or "PARAMETER.what", as optimisers have it. Tensors that belong to no parameter are the same
  // on all ranks.
  using State = std::map<std::string, at::Tensor>;
  // Each rank's part of it -> whole tensors, of which each comes together on every rank when it is loaded: all ranks
  // load them in the same order. A collective.
  std::vector<TensorToWrite> gathered(const State& parts);
  // The whole state -> this rank's rows, as views.
  State own_part(const State& whole) const;

  // Of parameters, whole or in part, that this rank holds now.
  int64_t bytes() const;

 private:
  struct Parameter {
    std::string name;
    at::Tensor whole, values;  // the one that is used, and its memory apart from autograd
    int64_t rows = 0, width = 0, rows_per_rank = 0;
    at::Tensor piece;  // this rank's rows; lies in the unit's part
    int64_t begin(int64_t rank) const { return std::min(rank * rows_per_rank, rows); }
    int64_t count(int64_t rank) const { return begin(rank + 1) - begin(rank); }
  };
  // What is gathered at once.
  struct Unit {
    std::vector<Parameter> parameters;
    at::Tensor part;  // [elements], as many on each rank: its rows of each parameter one behind another
  };
  // visit(parameter, rank's rows of it, as [elements] begin and count in that rank's part)
  template <typename Visit>
  void each_slice(const Unit& unit, const Visit& visit) const;
  void gather(const Unit& unit);
  static void release(const Unit& unit);
  void scatter(Unit& unit);
  const Parameter* find(const std::string& key) const;
  at::Tensor gather_rows(const Parameter& parameter, const at::Tensor& part, int64_t rows, at::IntArrayRef shape,
                         at::ScalarType dtype);

  ProcessGroup& group_;
  std::vector<Unit> layers_, rest_;  // the rest: one unit a parameter
  std::map<std::string, const Parameter*> by_name_;
  std::function<void()> on_gradients_;
};

}  // namespace ichigo
