// Adam-mini (Zhang et al. 2024): AdamW in which a whole block of elements shares one second moment, so that the state
// is half as large. Blocks are those of the library adam-mini 1.1.1 for a Llama.
#pragma once
#include "training/optimizer.h"

namespace ichigo {

// How many elements of a parameter share a second moment: a head of the query and key projections (head_dim rows), a
// row of any other matrix (embedding and head included), all of a norm's vector, one element of a bias. Throws Error
// when rows do not make whole heads.
int64_t adam_mini_block(const std::string& name, at::IntArrayRef shape, int64_t head_dim);

// Vectors are never decayed. A parameter split over ranks must be split between blocks.
class AdamMini : public Optimizer {
 public:
  AdamMini(NamedParameters parameters, const OptimizerConfig& config, int64_t head_dim, const Masters& masters = {});

 protected:
  void update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const override;
  void update_tensor(Slot& slot, const Update& update) const override;
};

}  // namespace ichigo
