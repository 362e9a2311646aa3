// How much worse a model predicts the reference answer to a question that it hears than to the same question typed;
// with typed questions alone: the loss on held-out instructions.
#pragma once
#include <functional>
#include <optional>

#include "evaluation/spoken_items.h"
#include "models/fused_model.h"

namespace ichigo {

struct ReferenceLoss {
  double loss = 0;  // negative natural log-likelihood, summed
  int64_t tokens = 0;
  double mean() const { return tokens == 0 ? 0 : loss / static_cast<double>(tokens); }
};

struct ModalityGap {
  int64_t items = 0;
  ReferenceLoss typed, spoken;  // spoken: no tokens where only typed questions are asked
};

// Each question stands alone behind the model's own system prompt; of each item's references the first counts, with
// the token that ends its turn. `spoken`: also the recordings, which needs a model with an ear. `report`, if any, is
// told of the sums after every item. Throws Error that names the item.
ModalityGap evaluate_modality_gap(const FusedModel& model, const std::vector<SpokenItem>& items, bool spoken,
                                  double max_seconds, const std::function<void(const ModalityGap&)>& report = {});

}  // namespace ichigo
