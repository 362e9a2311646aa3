// SpeechBench: spoken questions whose answers one or more judges rate (AudioBench's sets and scale: 0 to 5, times 20).
// Not here: who answers, and who judges (judge.h).
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "evaluation/judge.h"
#include "evaluation/spoken_items.h"

namespace ichigo {

struct SpeechBench {
  int64_t items = 0;
  struct Score {
    std::string judge;
    double score = 0;       // 0 to 100
    double understood = 0;  // the share of ratings that could be read; the others count as 0
  };
  std::vector<Score> scores;              // of each judge
  std::vector<JudgeAgreement> agreement;  // of each pair of judges
};

// `answer` gives the words of an answer; `report`, if any, is told of every item. Throws Error that names the item.
SpeechBench evaluate_speech_bench(
    const std::vector<SpokenItem>& items, const std::vector<std::unique_ptr<Judge>>& judges,
    const std::function<std::string(const SpokenItem&)>& answer,
    const std::function<void(const SpokenItem&, const std::string& answer, const std::vector<Rating>&)>& report = {});

// {"items":…,"judges":[{"judge":…,"score":…,"understood":…}],"agreement":[{"judges":[a,b],"within_one":…,"pearson":…}]}
nlohmann::json speech_bench_json(const SpeechBench& result);

}  // namespace ichigo
