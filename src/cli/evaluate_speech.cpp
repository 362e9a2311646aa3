#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/speech_bench.h"

namespace ichigo {
namespace {

struct SpeechArguments : EvaluateArguments {
  std::vector<std::string> judges = {"builtin"};
  std::string judge_prompt;
};

void speech(const SpeechArguments& arguments) {
  const bool typed = arguments.with == "text";
  const bool asks = arguments.judges != std::vector<std::string>{"builtin"};
  const auto items = read_spoken_items(arguments.list,
                                       typed  ? Needs::kText
                                       : asks ? Needs::kBoth
                                              : Needs::kSpeech,
                                       arguments.limit);
  const char* keys = std::getenv("ICHIGO_JUDGE_KEY");
  const auto judges =
      make_judges(arguments.judges, keys == nullptr ? "" : keys,
                  arguments.judge_prompt.empty() ? default_judge_prompt() : read_file(arguments.judge_prompt));
  std::vector<std::string> columns = {"path", "text", "reference", "answer"};
  for (const auto& judge : judges) columns.push_back(judge->name());
  RowsFile rows(arguments, columns);
  set_threads(arguments.threads);
  const auto assistant = load_assistant(arguments);
  Progress progress("speech", static_cast<int64_t>(items.size()), "items");
  int64_t done = 0;
  double sum = 0;
  const auto result = evaluate_speech_bench(
      items, judges,
      [&](const SpokenItem& item) {
        assistant->reset();
        return typed ? assistant->ask(item.text, {}).text
                     : assistant->hear(read_audio(item.path, arguments.limits), "", {}).text;
      },
      [&](const SpokenItem& item, const std::string& said, const std::vector<Rating>& ratings) {
        const std::string path = item.path.empty() ? "" : std::filesystem::absolute(item.path).string();
        std::vector<std::string> row = {path, item.text, item.references.front(), said};
        for (const auto& rating : ratings) row.push_back(concat(rating.score, rating.understood ? "" : " (unread)"));
        rows.add(row);
        sum += ratings.front().score;
        char detail[32];
        std::snprintf(detail, sizeof detail, "%.1f", 20 * sum / static_cast<double>(++done));
        progress.update(done, detail);
      });
  progress.finish();
  rows.commit();
  if (arguments.as_json) {
    std::printf("%s\n", speech_bench_json(result).dump().c_str());
    return;
  }
  for (const auto& score : result.scores) {
    std::printf("%s: %.1f of 100 over %lld answers; %s of the ratings understood\n", score.judge.c_str(), score.score,
                static_cast<long long>(result.items), percent(score.understood).c_str());
  }
  for (const auto& pair : result.agreement) {
    std::printf("%s and %s: %s within one point", pair.first.c_str(), pair.second.c_str(),
                percent(pair.within_one).c_str());
    if (pair.pearson) std::printf(", Pearson's correlation %.3f", *pair.pearson);
    std::printf("\n");
  }
}

}  // namespace

void add_evaluate_speech_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<SpeechArguments>();
  auto* command = evaluate.add_subcommand("speech", "SpeechBench: answers to spoken questions, rated by judges");
  command
      ->add_option("list", arguments->list,
                   "TSV with the columns path, text and reference (or answer), or AudioBench's sets as JSON lines")
      ->required();
  add_list_options(*command, *arguments, {"fused", "cascade", "text"});
  command
      ->add_option("--judge", arguments->judges,
                   "builtin, or MODEL@URL of an OpenAI-compatible interface (key: $ICHIGO_JUDGE_KEY, several split "
                   "by commas); may be given more than once")
      ->capture_default_str();
  command->add_option("--judge-prompt", arguments->judge_prompt,
                      "File of the text that judges are asked with, with {question}, {reference} and {answer} in it");
  add_generation_options(*command, arguments->config);
  command->callback([arguments] { speech(*arguments); });
}

}  // namespace ichigo
