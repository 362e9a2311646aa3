// AdamW (Loshchilov and Hutter 2019); the arithmetic is PyTorch's torch.optim.AdamW.
#pragma once
#include "training/optimizer.h"

namespace ichigo {

class AdamW : public Optimizer {
 public:
  AdamW(NamedParameters parameters, const OptimizerConfig& config, const Masters& masters = {});

 protected:
  void update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const override;
  void update_tensor(Slot& slot, const Update& update) const override;
};

}  // namespace ichigo
