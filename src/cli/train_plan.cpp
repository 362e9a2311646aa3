#include "cli/train_plan.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/machine.h"
#include "text/json_text.h"
#include "training/plan.h"

namespace ichigo {
namespace {

using nlohmann::ordered_json;

constexpr double kGiB = 1024.0 * 1024 * 1024;
// Of the measured peak: SmolLM2-135M on the processor (docs/benchmarks.md). Of a stated one: Ichigo's stage 1, which
// took 45 hours on ten A6000 of 155 TFLOP/s (arXiv 2410.15316, Table 1), by the work of recipes/ichigo_8b_stage1.yaml.
constexpr double kMeasuredShare = 0.74, kStatedShare = 0.4;

struct Speed {
  double peak, share, rate;  // FLOP/s: of a rank; its part that is reached; of all ranks
  std::string assumption;
};

Speed speed_of(const PlanOptions& options) {
  Speed speed;
  const bool measured = options.peak == 0;
  speed.peak = measured ? measure_matrix_peak() * 1e9 : options.peak * 1e12;
  speed.share = options.share > 0 ? options.share : measured ? kMeasuredShare : kStatedShare;
  speed.rate = speed.peak * speed.share * static_cast<double>(options.ranks);
  speed.assumption = options.share > 0 ? "the share given"
                     : measured        ? "the share that training SmolLM2-135M reaches on a processor"
                                       : "about the share that the paper's stage 1 reached on ten A6000";
  return speed;
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string text_of(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string gib(double bytes) {
  return text_of("%.2f GiB", bytes / kGiB);
}

std::string duration(double seconds) {
  if (seconds < 120) return text_of("%.0f seconds", seconds);
  if (seconds < 2 * 3600) return text_of("%.0f minutes", seconds / 60);
  if (seconds < 100 * 3600) return text_of("%.1f hours", seconds / 3600);
  return text_of("%.1f days", seconds / 86400);
}

void line(const char* what, const std::string& value, const std::string& remark = "") {
  std::printf("%-24s %18s  %s\n", what, value.c_str(), remark.c_str());
}

}  // namespace

void print_plan(const std::filesystem::path& path, const PlanOptions& options) {
  const DecoderRecipe recipe = DecoderRecipe::read(path);
  const PlannedModel model = planned_model(recipe);
  const PlannedMemory memory = planned_memory(recipe, model.config, options.ranks);
  const PlannedWork work = planned_work(recipe, model.config);
  const Speed speed = speed_of(options);
  const double seconds = work.total() / speed.rate;
  const int64_t steps = recipe.schedule.total_steps, tokens = steps * recipe.step_tokens;
  const double peak = memory.peak(recipe.checkpointing);
  const auto fewest = fewest_ranks(recipe, model.config, options.device_memory * kGiB);

  if (options.json) {
    ordered_json result = {{"recipe", path.string()},
                           {"parameters", model.config.parameters()},
                           {"new_rows", model.new_rows},
                           {"from_shape", model.from_shape},
                           {"steps", steps},
                           {"step_tokens", recipe.step_tokens},
                           {"tokens", tokens},
                           {"ranks", options.ranks},
                           {"memory_bytes",
                            {{"weights", memory.weights},
                             {"master_weights", memory.masters},
                             {"gradients", memory.gradients},
                             {"optimizer", memory.optimizer},
                             {"whole_weights", memory.whole_weights},
                             {"batch_gradients", memory.batch_gradients},
                             {"head", memory.head},
                             {"activations", memory.activations},
                             {"activations_checkpointed", memory.checkpointed_activations},
                             {"activation_checkpointing", recipe.checkpointing},
                             {"peak", peak}}},
                           {"flop",
                            {{"matrices", work.matrices},
                             {"attention", work.attention},
                             {"recomputed", work.recomputed},
                             {"total", work.total()}}},
                           {"peak_tflops", speed.peak / 1e12},
                           {"share_of_peak", speed.share},
                           {"assumption", speed.assumption},
                           {"seconds", seconds}};
    if (options.device_memory > 0) {
      result["device_memory_bytes"] = options.device_memory * kGiB;
      result["fits"] = peak <= options.device_memory * kGiB;
      result["fewest_ranks"] = fewest ? ordered_json(*fewest) : ordered_json();
    }
    std::printf("%s\n", json_line(result).c_str());
    return;
  }

  std::printf("%s: a plan, nothing is started\n", path.c_str());
  line("parameters", grouped(model.config.parameters()),
       text_of("with %s new rows%s", grouped(model.new_rows).c_str(),
               model.from_shape ? ("; the base is not here, its shape is " + recipe.shape).c_str() : ""));
  line("tokens", grouped(tokens),
       text_of("%s steps of %s", grouped(steps).c_str(), grouped(recipe.step_tokens).c_str()));
  std::printf("memory of one rank%s\n",
              options.ranks > 1 ? text_of(", divided over %s", grouped(options.ranks).c_str()).c_str() : "");
  line("  weights", gib(memory.weights), recipe.bf16 ? "bfloat16" : "float32");
  if (recipe.bf16) line("  master weights", gib(memory.masters), "float32");
  line("  gradients", gib(memory.gradients), "float32, summed over a step");
  line("  optimiser", gib(memory.optimizer), "float32");
  if (options.ranks > 1) line("  gathered weights", gib(memory.whole_weights), "a layer, embedding and head");
  line("  activations", gib(memory.activations), recipe.checkpointing ? "without checkpointing" : "this recipe");
  line("  checkpointed", gib(memory.checkpointed_activations),
       recipe.checkpointing ? "this recipe" : "with activation_checkpointing: true");
  line("  head", gib(memory.head), "its gradient and a chunk of logits");
  line("  gradients of a batch", gib(memory.batch_gradients), "after activations and head are free again");
  std::string verdict = "the most at once, beside the program itself";
  if (options.device_memory > 0) {
    verdict += text_of("; %s %.6g GiB: %s", peak <= options.device_memory * kGiB ? "fits" : "does NOT fit",
                       options.device_memory,
                       fewest ? text_of("%s or more ranks do", grouped(*fewest).c_str()).c_str()
                              : "no number of ranks does, smaller batch_tokens or checkpointing may");
  }
  line("  in all", gib(peak), verdict);
  line("work", text_of("%.3g FLOP", work.total()),
       text_of("%.3g matrices (6 N D), %.3g attention at most", work.matrices, work.attention) +
           (recipe.checkpointing ? text_of(", %.3g computed again", work.recomputed) : ""));
  line("time", duration(seconds),
       text_of("%s x %.4g TFLOP/s%s x %.2g: %s", grouped(options.ranks).c_str(), speed.peak / 1e12,
               options.peak == 0 ? " (measured here)" : "", speed.share, speed.assumption.c_str()));
}

}  // namespace ichigo
