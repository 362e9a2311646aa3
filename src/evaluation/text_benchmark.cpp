#include "evaluation/text_benchmark.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace ichigo {

using nlohmann::json;

namespace {

TextSample choose(const TextTask& task, const TextDocument& document, TextScorer& scorer) {
  TextSample sample{.document = &document, .filter = "none"};
  std::vector<std::string> continuations;
  for (const auto& choice : document.choices) continuations.push_back(task.target_delimiter + choice);
  sample.likelihoods = scorer.continuations(document.prompt, continuations);
  for (const auto& metric : task.metrics) {
    // acc_norm: by the letters of a choice, so that long ones are not at a disadvantage.
    size_t best = 0;
    double best_value = 0;
    for (size_t i = 0; i < document.choices.size(); ++i) {
      const double letters = static_cast<double>(std::max<size_t>(1, decode_utf8(document.choices[i]).size()));
      const double value = sample.likelihoods[i].log_likelihood / (metric == "acc_norm" ? letters : 1);
      if (i > 0 && value <= best_value) continue;
      best = i;
      best_value = value;
    }
    sample.scores[metric] = best == document.right_choice ? 1 : 0;
  }
  return sample;
}

}  // namespace

TextBenchmark evaluate_text_task(const TextTask& task, TextScorer& scorer,
                                 const std::function<void(const TextSample&)>& report) {
  TextBenchmark result{.task = task.name, .documents = static_cast<int64_t>(task.documents.size())};
  const auto add = [&](const TextSample& sample) {
    for (const auto& [metric, score] : sample.scores) result.scores[metric + "," + sample.filter] += score;
    if (report) report(sample);
  };
  for (const auto& document : task.documents) {
    try {
      if (task.multiple_choice) {
        add(choose(task, document, scorer));
        continue;
      }
      const std::string answer = scorer.generate(document.prompt, task.until, task.max_tokens);
      for (const auto& filter : task.filters) {
        TextSample sample{.document = &document, .filter = filter.name, .answer = answer, .filtered = filter(answer)};
        const bool right = std::ranges::any_of(document.targets, [&](const std::string& target) {
          return task.exact_match(sample.filtered, target);
        });
        sample.scores["exact_match"] = right ? 1 : 0;
        add(sample);
      }
    } catch (const Error& error) {
      fail(task.name, ", document ", document.id, ": ", error.what());
    }
  }
  for (auto& [name, score] : result.scores) score /= static_cast<double>(result.documents);
  return result;
}

json sample_json(const TextTask& task, const TextSample& sample) {
  json row = {{"doc_id", sample.document->id}, {"filter", sample.filter}};
  if (task.multiple_choice) {
    for (size_t i = 0; i < sample.likelihoods.size(); ++i) {
      const Likelihood& likelihood = sample.likelihoods[i];
      row["arguments"].push_back({sample.document->prompt, task.target_delimiter + sample.document->choices[i]});
      row["filtered_resps"].push_back({likelihood.log_likelihood, likelihood.greedy});
      row["resps"].push_back(json::array({{likelihood.log_likelihood, likelihood.greedy}}));
    }
    row["target"] = sample.document->right_choice;
  } else {
    const json settings = {
        {"until", task.until}, {"do_sample", false}, {"temperature", 0.0}, {"max_gen_toks", task.max_tokens}};
    row["arguments"] = json::array({json::array({sample.document->prompt, settings})});
    row["resps"] = json::array({json::array({sample.answer})});
    row["filtered_resps"] = json::array({sample.filtered});
    const auto& targets = sample.document->targets;
    row["target"] = targets.size() == 1 ? json(targets[0]) : json(targets);
  }
  for (const auto& [metric, score] : sample.scores) row[metric] = score;
  return row;
}

}  // namespace ichigo
