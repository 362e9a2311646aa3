#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/recipe.h"

namespace ichigo {

void ScheduleConfig::validate() const {
  require(peak > 0 && std::isfinite(peak), "the learning rate must be above 0, not ", peak);
  require(warmup_steps >= 0 && total_steps >= 0, "steps of the learning rate's schedule must be 0 or more");
  require(total_steps == 0 || warmup_steps <= total_steps, "warm-up of ", warmup_steps, " steps is longer than all ",
          total_steps, " steps");
  require(final_share >= 0 && final_share <= 1, "the final share of the learning rate must be in [0, 1], not ",
          final_share);
  require(decay_steps == 0 || decay_steps >= total_steps, "the learning rate's decay_steps of ", decay_steps,
          " end before the run's ", total_steps, " steps: take at least as many, or leave the key out");
}

ScheduleConfig ScheduleConfig::read(RecipeNode& recipe, const ScheduleConfig& defaults) {
  return {recipe.number("learning_rate", defaults.peak), recipe.integer("warmup_steps", defaults.warmup_steps),
          recipe.integer("steps", defaults.total_steps), recipe.number("final_share", defaults.final_share),
          recipe.integer("decay_steps", defaults.decay_steps)};
}

std::vector<double> ScheduleConfig::values() const {
  return {peak, static_cast<double>(warmup_steps), static_cast<double>(total_steps), final_share,
          static_cast<double>(decay_steps)};
}

double learning_rate(const ScheduleConfig& config, int64_t step) {
  const auto at = static_cast<double>(step), warmup = static_cast<double>(config.warmup_steps);
  if (step < config.warmup_steps) return config.peak * at / warmup;
  if (config.total_steps == 0) return config.peak;
  const auto end = static_cast<double>(config.decay_steps > 0 ? config.decay_steps : config.total_steps);
  const double progress = std::min(1.0, (at - warmup) / std::max(1.0, end - warmup));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return config.peak * (config.final_share + (1 - config.final_share) * cosine);
}

}  // namespace ichigo
