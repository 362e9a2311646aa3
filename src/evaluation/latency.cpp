#include "evaluation/latency.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "audio/audio_file.h"
#include "base/error.h"
#include "base/stopwatch.h"

namespace ichigo {
namespace {

constexpr size_t kChunk = kSampleRate / 50;
const char* const kModes[] = {"offline", "streaming", "cascade"};

std::vector<float> question(std::span<const float> speech, double seconds) {
  std::vector<float> samples(static_cast<size_t>(seconds * kSampleRate));
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = speech[i % speech.size()];
  return samples;
}

struct Measured {
  double first_token = 0;
  AnswerTiming parts;
};

Measured measure_whole(Assistant& assistant, std::span<const float> samples) {
  Stopwatch watch;
  const Reply reply = assistant.hear(samples, "", {});
  return {watch.lap(), reply.timing};
}

Measured measure_streaming(Conversation& conversation, std::span<const float> samples) {
  while (samples.size() > kChunk) {
    conversation.hear(samples.first(kChunk));
    samples = samples.subspan(kChunk);
  }
  Stopwatch watch;
  conversation.hear(samples);
  const Reply reply = conversation.end_of_speech({});
  return {watch.lap(), reply.timing};
}

double rounded(double value, double steps) {
  return std::round(value * steps) / steps;
}

}  // namespace

void LatencyOptions::validate() const {
  require(repeats >= 1, "a latency is measured at least once, not ", repeats, " times");
  require(!seconds.empty(), "the latency of no question is asked for");
  for (const double length : seconds) {
    require(length >= 0.1 && length <= 300, "a question lasts 0.1 to 300 s, not ", length);
  }
}

double percentile(std::vector<double> values, double share) {
  require(!values.empty(), "there is no percentile of no values");
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<LatencyCase> measure_latency(Conversation& fused, Cascade& cascade, std::span<const float> speech,
                                         const LatencyOptions& options,
                                         const std::function<void(int64_t done, int64_t all)>& report) {
  options.validate();
  require(!speech.empty(), "there is no speech to measure with");
  std::vector<LatencyCase> cases;
  std::vector<std::vector<AnswerTiming>> timings;
  for (const double seconds : options.seconds) {
    for (const char* mode : kModes) cases.push_back({.mode = mode, .seconds = seconds});
  }
  timings.resize(cases.size());
  const auto all = static_cast<int64_t>((options.repeats + 1) * options.seconds.size());
  int64_t done = 0;
  for (int repeat = -1; repeat < options.repeats; ++repeat) {
    for (size_t length = 0; length < options.seconds.size(); ++length) {
      const auto samples = question(speech, options.seconds[length]);
      for (size_t i = 0; i < std::size(kModes); ++i) {
        const size_t mode = (i + static_cast<size_t>(repeat + 1)) % std::size(kModes);
        const size_t index = length * std::size(kModes) + mode;
        Assistant& assistant = mode == 2 ? static_cast<Assistant&>(cascade) : fused;
        assistant.reset();
        assistant.ask("Hello!", {});
        const Measured measured = mode == 1 ? measure_streaming(fused, samples) : measure_whole(assistant, samples);
        if (repeat < 0) continue;
        cases[index].first_token.push_back(measured.first_token);
        timings[index].push_back(measured.parts);
      }
      if (report) report(++done, all);
    }
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto middle = [&](double AnswerTiming::*part) {
      std::vector<double> values;
      for (const AnswerTiming& timing : timings[i]) values.push_back(timing.*part);
      return percentile(values, 0.5);
    };
    for (const auto part : {&AnswerTiming::mel, &AnswerTiming::encode, &AnswerTiming::recognise, &AnswerTiming::prefill,
                            &AnswerTiming::first_step, &AnswerTiming::while_speaking}) {
      cases[i].parts.*part = middle(part);
    }
    cases[i].hearing_share = cases[i].parts.while_speaking / (1000 * cases[i].seconds);
  }
  return cases;
}

nlohmann::json latency_json(const std::vector<LatencyCase>& cases) {
  nlohmann::json list = nlohmann::json::array();
  for (const LatencyCase& item : cases) {
    nlohmann::json parts;
    const AnswerTiming& timing = item.parts;
    for (const auto& [name, value] :
         {std::pair("mel", timing.mel), std::pair("encode", timing.encode), std::pair("recognise", timing.recognise),
          std::pair("prefill", timing.prefill), std::pair("first_step", timing.first_step)}) {
      parts[name] = rounded(value, 100);
    }
    nlohmann::json entry = {{"mode", item.mode},
                            {"seconds", item.seconds},
                            {"p50_ms", rounded(percentile(item.first_token, 0.5), 100)},
                            {"p95_ms", rounded(percentile(item.first_token, 0.95), 100)},
                            {"repeats", item.first_token.size()},
                            {"parts_ms", parts}};
    if (item.mode == "streaming") entry["hearing_share"] = rounded(item.hearing_share, 1000);
    list.push_back(entry);
  }
  return {{"cases", list}};
}

std::string latency_table(const std::vector<LatencyCase>& cases) {
  std::string table =
      "speech  mode        p50 ms   p95 ms |    mel  encode  recognise  prefill  first step | while speaking\n";
  for (const LatencyCase& item : cases) {
    char line[200];
    const AnswerTiming& parts = item.parts;
    std::snprintf(line, sizeof line, "%4g s  %-9s %8.1f %8.1f | %6.1f  %6.1f  %9.1f  %7.1f  %10.1f |", item.seconds,
                  item.mode.c_str(), percentile(item.first_token, 0.5), percentile(item.first_token, 0.95), parts.mel,
                  parts.encode, parts.recognise, parts.prefill, parts.first_step);
    table += line;
    if (item.mode == "streaming") {
      std::snprintf(line, sizeof line, " %.1f %% of the time", 100 * item.hearing_share);
      table += line;
    }
    table += '\n';
  }
  return table;
}

std::string latency_plot(const std::vector<LatencyCase>& cases) {
  std::ostringstream commands;
  commands << "$latency << EOD\n";
  for (size_t i = 0; i + 2 < cases.size(); i += 3) {
    commands << '"' << cases[i].seconds << " s\"";
    for (size_t mode = i; mode < i + 3; ++mode) {
      const double middle = percentile(cases[mode].first_token, 0.5);
      commands << ' ' << middle << ' ' << middle << ' ' << percentile(cases[mode].first_token, 0.95);
    }
    commands << '\n';
  }
  commands
      << "EOD\nset style data histograms\nset style histogram errorbars gap 1 linewidth 1\n"
         "set style fill solid 0.8\nset grid y\nset logscale y\nset key top left\nset xlabel 'length of the speech'\n"
         "set ylabel 'end of speech to first token, ms (p50, whiskers to p95)'\nplot ";
  for (size_t mode = 0; mode < std::size(kModes); ++mode) {
    const size_t column = 2 + 3 * mode;
    commands << (mode == 0 ? "" : ", ") << "$latency using " << column << ':' << column + 1 << ':' << column + 2
             << (mode == 0 ? ":xtic(1)" : "") << " title '" << kModes[mode] << '\'';
  }
  commands << '\n';
  return commands.str();
}

}  // namespace ichigo
