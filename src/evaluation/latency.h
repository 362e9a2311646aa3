// How long it takes from the end of a spoken question to the first token of its answer: the fused model that gets the
// whole recording at its end, the same model that heard it while it was spoken, and the cascade, in one run.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "assistant/cascade.h"
#include "assistant/conversation.h"

namespace ichigo {

struct LatencyOptions {
  std::vector<double> seconds = {2, 5, 10, 30};  // of the questions
  int repeats = 20;
  void validate() const;  // throws Error
};

struct LatencyCase {
  std::string mode;  // offline, streaming, cascade
  double seconds = 0;
  // Of each repeat, in milliseconds, by the clock: from the last samples' arrival to the first token.
  std::vector<double> first_token;
  // What is inside, as it took in the middle (p50 of each part). Of streaming only what was left after the end.
  AnswerTiming parts;
  double hearing_share = 0;  // streaming: processor's time while the person speaks, as a share of the speech's length
};

// Each question is the second turn of a conversation, so that no system prompt is part of a figure. Questions are cut
// from `speech` (16 kHz), which is repeated where it is too short; streaming gets them in chunks of 20 ms without
// waiting. Modes take turns, so that what else the machine does hits all alike; one round before is not counted.
// The conversations should be allowed one token of answer. `report` is told of every round. Throws Error.
std::vector<LatencyCase> measure_latency(Conversation& fused, Cascade& cascade, std::span<const float> speech,
                                         const LatencyOptions& options,
                                         const std::function<void(int64_t done, int64_t all)>& report = {});

// The value below which this share (0 to 1) of the values lies, between two of them in proportion. Throws Error when
// there are none.
double percentile(std::vector<double> values, double share);

// {"cases":[{"mode":…,"seconds":…,"p50_ms":…,"p95_ms":…,"parts_ms":{…}}…]}, streaming with "hearing_share".
nlohmann::json latency_json(const std::vector<LatencyCase>& cases);
// The same for people.
std::string latency_table(const std::vector<LatencyCase>& cases);
// Bars of the p50 with the p95 as whiskers, as gnuplot's commands.
std::string latency_plot(const std::vector<LatencyCase>& cases);

}  // namespace ichigo
