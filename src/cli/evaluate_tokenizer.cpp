#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "cli/evaluate_options.h"
#include "evaluation/phone_error_rate.h"

namespace ichigo {
namespace {

using nlohmann::json;

void sound_tokenizer(const EvaluateArguments& arguments) {
  set_threads(arguments.threads);
  const SoundTokenizerScore score = evaluate_sound_tokenizer(arguments.list, arguments.tokenizer);
  if (arguments.as_json) {
    const json result = {{"phone_error_rate", score.phone_error_rate},
                         {"codebook_perplexity", score.codebook_perplexity},
                         {"codes_used", score.codes_used},
                         {"phones", score.phones},
                         {"clips", score.clips}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("phone error rate %s of %lld phones in %lld clips", percent(score.phone_error_rate).c_str(),
              static_cast<long long>(score.phones), static_cast<long long>(score.clips));
  if (score.codebook_perplexity > 0) {
    std::printf("; codebook perplexity %.1f, %lld codes used", score.codebook_perplexity,
                static_cast<long long>(score.codes_used));
  }
  std::printf("\n");
}

}  // namespace

void add_evaluate_tokenizer_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<EvaluateArguments>();
  auto* measure = evaluate.add_subcommand("tokenizer", "Phone error rate and codebook perplexity of a sound tokenizer");
  measure->add_option("features", arguments->list, "Encoder features made by synthesize, without ending")->required();
  measure->add_option("--tokenizer", arguments->tokenizer, "Folder of the trained sound tokenizer")->required();
  measure->add_flag("--json", arguments->as_json, "Print one JSON object");
  add_threads_option(*measure, arguments->threads);
  measure->callback([arguments] { sound_tokenizer(*arguments); });
}

}  // namespace ichigo
