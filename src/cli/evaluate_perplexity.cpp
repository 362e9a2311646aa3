#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/perplexity.h"

namespace ichigo {
namespace {

using nlohmann::json;

void perplexity(const EvaluateArguments& arguments) {
  const std::string text = read_file(arguments.list);
  set_threads(arguments.threads);
  const FusedModel model = load_text_model(find_model(arguments.model), arguments.dtype);
  // A BOS token takes the first place of every window where the vocabulary adds one.
  const auto opening = model.tokenizer->encode("", true);
  const auto ids = model.tokenizer->encode(text, true, false);
  const int64_t windows = static_cast<int64_t>(ids.size()) / arguments.context;
  const auto limit = static_cast<int64_t>(arguments.limit);
  Progress progress("perplexity", limit > 0 ? std::min(limit, windows) : windows, "windows");
  int64_t done = 0;
  const auto score = evaluate_perplexity(*model.decoder, ids, arguments.context, opening.empty() ? -1 : opening[0],
                                         limit, [&](const PerplexityScore& so_far) {
                                           char detail[32];
                                           std::snprintf(detail, sizeof detail, "%.3f", so_far.perplexity());
                                           progress.update(++done, detail);
                                         });
  progress.finish();
  if (arguments.as_json) {
    std::printf("%s\n", json{{"perplexity", score.perplexity()}, {"tokens", score.tokens}}.dump().c_str());
  } else {
    std::printf("perplexity %.4f over %lld tokens\n", score.perplexity(), static_cast<long long>(score.tokens));
  }
}

}  // namespace

void add_evaluate_perplexity_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<EvaluateArguments>();
  auto* predict =
      evaluate.add_subcommand("perplexity", "How well a language model predicts a text, as llama.cpp counts");
  predict->add_option("text", arguments->list, "UTF-8 text")->required();
  predict->add_option("--model", arguments->model, "Folder of the model, or a GGUF file")->required();
  predict->add_option("--context", arguments->context, "Tokens of a window; its second half counts")
      ->check(CLI::Range(int64_t{4}, int64_t{1} << 20))
      ->capture_default_str();
  predict->add_option("--limit", arguments->limit, "Only the first windows (0: all)");
  arguments->dtype = kTextDtype;
  add_dtype_option(*predict, arguments->dtype);
  predict->add_flag("--json", arguments->as_json, "Print one JSON object");
  add_threads_option(*predict, arguments->threads);
  predict->callback([arguments] { perplexity(*arguments); });
}

}  // namespace ichigo
