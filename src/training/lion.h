// Lion (Chen et al. 2023): the sign of a momentum, and no second moment. The arithmetic is lion-pytorch's.
#pragma once
#include "training/optimizer.h"

namespace ichigo {

// `epsilon` of the configuration has no meaning here.
class Lion : public Optimizer {
 public:
  Lion(NamedParameters parameters, const OptimizerConfig& config, const Masters& masters = {});

 protected:
  void update_elements(Slot& slot, int64_t begin, int64_t count, const Update& update) const override;
  void update_tensor(Slot& slot, const Update& update) const override;
};

}  // namespace ichigo
