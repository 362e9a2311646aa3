// Learning rate: linear warm-up, then cosine to `final_share` of the peak.
#pragma once
#include <cstdint>
#include <vector>

namespace ichigo {

class RecipeNode;

struct ScheduleConfig {
  double peak = 1e-3;
  int64_t warmup_steps = 0, total_steps = 0;
  double final_share = 0;   // of the peak, at the cosine's end
  int64_t decay_steps = 0;  // where the cosine ends, total_steps when 0; later for a run that another one continues
  void validate() const;    // throws Error
  // The recipe's keys learning_rate, warmup_steps, steps, final_share and decay_steps.
  static ScheduleConfig read(RecipeNode& recipe, const ScheduleConfig& defaults);
  std::vector<double> values() const;  // all of it, for a recipe's fingerprint
};

// The rate of step `step` (0 is the first): peak * step / warmup_steps while warming up, so that the very first step
// changes nothing (as transformers' get_cosine_schedule_with_warmup does); constant when total_steps is 0.
double learning_rate(const ScheduleConfig& config, int64_t step);

}  // namespace ichigo
