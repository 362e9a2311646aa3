#include "evaluation/speech_bench.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ichigo {

using nlohmann::json;

SpeechBench evaluate_speech_bench(
    const std::vector<SpokenItem>& items, const std::vector<std::unique_ptr<Judge>>& judges,
    const std::function<std::string(const SpokenItem&)>& answer,
    const std::function<void(const SpokenItem&, const std::string&, const std::vector<Rating>&)>& report) {
  require(!items.empty() && !judges.empty(), "there is nothing to judge, or nobody who judges");
  SpeechBench result{.items = static_cast<int64_t>(items.size())};
  const auto share = 1 / static_cast<double>(items.size());
  std::vector<std::string> names;
  for (const auto& judge : judges) {
    names.push_back(judge->name());
    result.scores.push_back({.judge = judge->name()});
  }
  std::vector<std::vector<double>> scores(judges.size());
  for (const auto& item : items) {
    try {
      const std::string given = answer(item);
      std::vector<Rating> ratings;
      for (size_t judge = 0; judge < judges.size(); ++judge) {
        ratings.push_back(judges[judge]->rate({item.text, item.references, given}));
        scores[judge].push_back(ratings.back().score);
        result.scores[judge].score += 20 * share * ratings.back().score;
        result.scores[judge].understood += ratings.back().understood ? share : 0;
      }
      if (report) report(item, given, ratings);
    } catch (const Error& error) {
      fail(item.place, ": ", error.what());
    }
  }
  result.agreement = judge_agreement(names, scores);
  return result;
}

json speech_bench_json(const SpeechBench& result) {
  json all = {{"items", result.items}, {"judges", json::array()}, {"agreement", json::array()}};
  for (const auto& score : result.scores) {
    all["judges"].push_back({{"judge", score.judge}, {"score", score.score}, {"understood", score.understood}});
  }
  for (const auto& pair : result.agreement) {
    all["agreement"].push_back({{"judges", {pair.first, pair.second}},
                                {"within_one", pair.within_one},
                                {"pearson", pair.pearson ? json(*pair.pearson) : json()}});
  }
  return all;
}

}  // namespace ichigo
