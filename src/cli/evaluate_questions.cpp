#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/questions.h"

namespace ichigo {
namespace {

using nlohmann::json;

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "|") + part;
  return text;
}

void questions(const EvaluateArguments& arguments) {
  const bool typed = arguments.with == "text";
  const auto items =
      read_questions(arguments.list, typed ? QuestionForm::kTyped : QuestionForm::kSpoken, arguments.limit);
  RowsFile rows(arguments, {typed ? "text" : "path", "answer", "said", "right"});
  set_threads(arguments.threads);
  const auto assistant = load_assistant(arguments);
  Progress progress("questions", static_cast<int64_t>(items.size()), "items");
  int64_t done = 0;
  int64_t right_so_far = 0;
  const auto score = evaluate_questions(
      items,
      [&](const QuestionItem& item) {
        assistant->reset();
        const auto say = [&](const std::string& turn) {
          return typed ? assistant->ask(turn, {}).text
                       : assistant->hear(read_audio(turn, arguments.limits), "", {}).text;
        };
        for (const auto& turn : item.earlier) say(turn);
        return say(typed ? item.text : item.path.string());
      },
      [&](const QuestionItem& item, const std::string& said, bool right) {
        rows.add({typed ? item.text : std::filesystem::absolute(item.path).string(), joined(item.answers), said,
                  right ? "1" : "0"});
        right_so_far += right ? 1 : 0;
        ++done;
        progress.update(done, percent(static_cast<double>(right_so_far) / static_cast<double>(done)) + " right");
      });
  progress.finish();
  rows.commit();
  if (arguments.as_json) {
    const json result = {{"accuracy", score.accuracy()}, {"items", score.items}, {"unheard", score.unheard}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%lld of %lld right: %s; to %lld it said that it could not hear\n", static_cast<long long>(score.right),
                static_cast<long long>(score.items), percent(score.accuracy()).c_str(),
                static_cast<long long>(score.unheard));
  }
}

}  // namespace

void add_evaluate_questions_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<EvaluateArguments>();
  auto* ask = evaluate.add_subcommand("questions", "The share of questions that are answered right");
  ask->add_option("list", arguments->list,
                  "TSV with the columns path (or text, for typed ones) and answer (any of a|b); dialogues also have "
                  "earlier (or earlier_text)")
      ->required();
  add_list_options(*ask, *arguments, {"fused", "cascade", "text"});
  add_generation_options(*ask, arguments->config);
  ask->callback([arguments] { questions(*arguments); });
}

}  // namespace ichigo
