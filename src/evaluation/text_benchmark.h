// How well a language model does a task of text (text_task.h): the scores that lm-evaluation-harness would print.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "evaluation/text_scorer.h"
#include "evaluation/text_task.h"

namespace ichigo {

// One document, once for each filter (multiple_choice: once, with the filter "none").
struct TextSample {
  const TextDocument* document = nullptr;
  std::string filter;
  std::vector<Likelihood> likelihoods;   // of the choices
  std::string answer, filtered;          // generate_until
  std::map<std::string, double> scores;  // by metric
};

struct TextBenchmark {
  std::string task;
  int64_t documents = 0;
  std::map<std::string, double> scores;  // "acc,none", "exact_match,strict-match": means over the documents
};

// `report`, if any, is told of every sample. Throws Error.
TextBenchmark evaluate_text_task(const TextTask& task, TextScorer& scorer,
                                 const std::function<void(const TextSample&)>& report = {});

// A sample in the form of the harness's logged samples: doc_id, filter, arguments, resps, filtered_resps, target and
// the metrics.
nlohmann::json sample_json(const TextTask& task, const TextSample& sample);

}  // namespace ichigo
