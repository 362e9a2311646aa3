#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/modality_gap.h"

namespace ichigo {
namespace {

using nlohmann::json;

void gap(const EvaluateArguments& arguments) {
  check_ear(arguments);
  const bool spoken = arguments.with == "fused";
  const auto items = read_spoken_items(arguments.list, spoken ? Needs::kBoth : Needs::kText, arguments.limit);
  set_threads(arguments.threads);
  const auto path = find_model(arguments.model);
  const FusedModel model =
      spoken ? load_hearing_model(path, arguments.ear, arguments.dtype) : load_text_model(path, arguments.dtype);
  RowsFile rows(arguments, {"text", "reference", "tokens", "typed", "spoken"});
  Progress progress("gap", static_cast<int64_t>(items.size()), "items");
  ModalityGap before;
  const auto result =
      evaluate_modality_gap(model, items, spoken, arguments.limits.max_seconds, [&](const ModalityGap& so_far) {
        const SpokenItem& item = items[static_cast<size_t>(so_far.items - 1)];
        const int64_t tokens = so_far.typed.tokens - before.typed.tokens;
        const auto mean = [&](const ReferenceLoss& now, const ReferenceLoss& then) {
          return concat((now.loss - then.loss) / static_cast<double>(tokens));
        };
        rows.add({item.text, item.references.front(), std::to_string(tokens), mean(so_far.typed, before.typed),
                  spoken ? mean(so_far.spoken, before.spoken) : ""});
        before = so_far;
        char detail[48];
        std::snprintf(detail, sizeof detail, "typed %.3f", so_far.typed.mean());
        progress.update(so_far.items, detail);
      });
  progress.finish();
  rows.commit();
  if (arguments.as_json) {
    json all = {{"items", result.items}, {"tokens", result.typed.tokens}, {"typed", result.typed.mean()}};
    if (spoken) {
      all["spoken"] = result.spoken.mean();
      all["gap"] = result.spoken.mean() - result.typed.mean();
    }
    std::printf("%s\n", all.dump().c_str());
    return;
  }
  std::printf("loss of the reference answers, nats a token over %lld tokens: typed %.4f",
              static_cast<long long>(result.typed.tokens), result.typed.mean());
  if (spoken) std::printf(", spoken %.4f, gap %.4f", result.spoken.mean(), result.spoken.mean() - result.typed.mean());
  std::printf("\n");
}

}  // namespace

void add_evaluate_gap_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<EvaluateArguments>();
  auto* command = evaluate.add_subcommand(
      "gap",
      "Loss of reference answers after spoken questions and after the same ones typed (--with text: typed only)");
  command
      ->add_option("list", arguments->list, "TSV with the columns path, text and reference, or AudioBench's JSON lines")
      ->required();
  add_list_options(*command, *arguments, {"fused", "text"});
  command->callback([arguments] { gap(*arguments); });
}

}  // namespace ichigo
