// How well speech is found in human recordings, clean and in noise, as a table: too slow for every day, so asked for by
// --gtest_also_run_disabled_tests --gtest_filter='*VoiceActivityTable*'. The truth is the level of the clean recording.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "audio/signals.h"
#include "audio/voice_activity.h"
#include "base/stopwatch.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using Kind = SpeechEvent::Kind;

constexpr int64_t kBefore = 3 * kSampleRate, kAfter = 2 * kSampleRate;  // of nothing but noise around the speech

std::vector<fs::path> listed(const fs::path& list) {
  std::ifstream in(list);
  std::vector<fs::path> paths;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) paths.push_back(list.parent_path() / line.substr(0, line.find('\t')));
  return paths;
}

struct Speech {
  std::vector<float> samples;  // with kBefore and kAfter of silence
  int64_t begin, end;          // of what is at most 30 dB below the loudest and 10 dB above the recording's own noise
  double longest_pause;        // seconds within it
};

Speech prepare(const fs::path& path) {
  std::vector<float> recording = read_audio(path);
  for (size_t i = 0; i < 320 && i < recording.size(); ++i) {
    recording[i] *= static_cast<float>(i) / 320;
    recording[recording.size() - 1 - i] *= static_cast<float>(i) / 320;
  }
  std::vector<double> levels;
  for (size_t at = 0; at + 160 <= recording.size(); at += 160) {
    double energy = 1e-12, last = 0;
    for (size_t i = at; i < at + 160; ++i) {  // the difference takes hum and DC out
      const double difference = recording[i] - 0.9 * last;
      last = recording[i];
      energy += difference * difference;
    }
    levels.push_back(10 * std::log10(energy));
  }
  std::vector<double> sorted = levels;
  std::ranges::sort(sorted);
  const double loud = sorted[sorted.size() * 95 / 100];
  const double quiet = sorted[sorted.size() * 5 / 100];
  const double threshold = std::max(loud - 30, std::min(quiet + 10, loud - 15));
  std::vector<size_t> speech;
  for (size_t i = 1; i + 1 < levels.size(); ++i) {
    if (std::min({levels[i - 1], levels[i], levels[i + 1]}) >= threshold) speech.push_back(i);
  }
  Speech result{{}, 0, 0, 0};
  if (!speech.empty()) {
    result.begin = kBefore + static_cast<int64_t>(speech.front() - 1) * 160;
    result.end = kBefore + static_cast<int64_t>(speech.back() + 2) * 160;
  }
  for (size_t i = 1; i < speech.size(); ++i) {
    result.longest_pause = std::max(result.longest_pause, static_cast<double>(speech[i] - speech[i - 1]) / 100);
  }
  result.samples.assign(kBefore, 0);
  result.samples.insert(result.samples.end(), recording.begin(), recording.end());
  result.samples.resize(result.samples.size() + kAfter, 0);
  return result;
}

struct Row {
  int files = 0, missed = 0, false_alarms = 0, parted = 0;
  double quiet_minutes = 0;
  std::vector<double> begins, ends;  // errors in ms
  std::vector<double> decided;       // ms from the end of the speech until the end is told
};

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

void score(const Speech& speech, const std::vector<SpeechEvent>& events, Row& row) {
  constexpr double kMs = 1000.0 / kSampleRate;
  const int64_t pre_roll = std::llround(VoiceActivityConfig{}.pre_roll * kSampleRate);
  int64_t first = -1, last = -1, told = -1;
  int parts = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i].kind != Kind::kBegun) continue;
    size_t end = i;
    while (events[end].kind != Kind::kEnded) ++end;
    const int64_t from = std::min(events[i].sample + pre_roll, events[i].decided);
    if (events[end].sample <= speech.begin || from >= speech.end) {
      ++row.false_alarms;
      continue;
    }
    if (first < 0) first = from;
    last = events[end].sample;
    told = events[end].decided;
    ++parts;
  }
  ++row.files;
  row.quiet_minutes += static_cast<double>(kBefore + kAfter) / kSampleRate / 60;
  if (first < 0) {
    ++row.missed;
    return;
  }
  row.begins.push_back(static_cast<double>(first - speech.begin) * kMs);
  row.ends.push_back(static_cast<double>(last - speech.end) * kMs);
  row.decided.push_back(static_cast<double>(told - speech.end) * kMs);
  if (parts > 1 && speech.longest_pause < 0.35) ++row.parted;
}

std::vector<SpeechEvent> detect(std::span<const float> samples) {
  VoiceActivity activity;
  auto events = activity.accept(samples);
  for (const auto& event : activity.finish()) events.push_back(event);
  return events;
}

void print(const std::string& name, const Row& row) {
  std::printf("| %-28s | %5d | %5.1f | %5.1f | %5.2f | %5.0f %5.0f %5.0f | %5.0f %5.0f %5.0f | %5.0f %5.0f |\n",
              name.c_str(), row.files, 100.0 * row.missed / row.files, 100.0 * row.parted / row.files,
              row.false_alarms / row.quiet_minutes, quantile(row.begins, 0.05), quantile(row.begins, 0.5),
              quantile(row.begins, 0.95), quantile(row.ends, 0.05), quantile(row.ends, 0.5), quantile(row.ends, 0.95),
              quantile(row.decided, 0.5), quantile(row.decided, 0.95));
  std::fflush(stdout);
}

fs::path speech_folder() {
  const char* named = std::getenv("ICHIGO_SPEECH");
  return named != nullptr ? fs::path(named) : fs::path(ICHIGO_SOURCE_DIR) / "../shared/speech";
}

// $ICHIGO_SPEECH_LIST (human_test.tsv), every $ICHIGO_SPEECH_STEP-th recording (1).
TEST(DISABLED_VoiceActivityTable, HumanRecordings) {
  const char* list = std::getenv("ICHIGO_SPEECH_LIST");
  const char* step = std::getenv("ICHIGO_SPEECH_STEP");
  const auto paths = listed(speech_folder() / (list != nullptr ? list : "human_test.tsv"));
  ASSERT_FALSE(paths.empty()) << "no recordings in " << speech_folder();
  std::vector<Speech> speeches;
  double seconds = 0;
  for (size_t i = 0; i < paths.size(); i += step != nullptr ? std::stoul(step) : 1) {
    Speech speech = prepare(paths[i]);
    if (speech.end > speech.begin) speeches.push_back(std::move(speech));
  }
  std::map<std::string, std::vector<std::vector<float>>> noises;
  for (const char* name : {"white", "pink", "hum", "fan"}) {
    noises[name].push_back(test::steady_noise(name, 20 * kSampleRate, 7));
  }
  for (const auto& path : listed(speech_folder() / "noise.tsv")) {
    const std::string name = path.filename();
    const bool steady = name.find("aircond") != name.npos || name.find("rain") != name.npos ||
                        name.find("helicopter") != name.npos || name.find("sea") != name.npos;
    noises[steady ? "recorded, steady" : "recorded, all else"].push_back(read_audio(path));
  }
  std::printf(
      "| %-28s | files | miss%% | part%% | FA/mn | begin error p5 p50 p95 | end error p5 p50 p95 | told p50 p95 |\n",
      "");
  Stopwatch watch;
  double spent = 0;
  const auto run = [&](const std::string& name, const auto& mixed) {
    Row row;
    for (size_t i = 0; i < speeches.size(); ++i) {
      const std::vector<float> samples = mixed(i);
      watch.lap();
      const auto events = detect(samples);
      spent += watch.lap();
      seconds += static_cast<double>(samples.size()) / kSampleRate;
      score(speeches[i], events, row);
    }
    print(name, row);
  };
  const std::vector<float> hiss = test::steady_noise("white", 20 * kSampleRate, 3);
  run("clean", [&](size_t i) { return test::mixed(speeches[i].samples, hiss, -75, 1); });
  run("clean, -30 dB", [&](size_t i) { return test::mixed(speeches[i].samples, hiss, -85, 0.0316F); });
  for (const auto& [name, group] : noises) {
    for (const double snr : {20.0, 10.0, 5.0}) {
      run(name + " " + std::to_string(static_cast<int>(snr)) + " dB", [&](size_t i) {
        return test::mixed_at_snr(speeches[i].samples, speeches[i].begin, speeches[i].end, group[i % group.size()],
                                  snr);
      });
    }
  }
  std::printf("%.0f s of sound, %.3f %% of real time\n", seconds, spent / seconds / 10);
}

TEST(DISABLED_VoiceActivityTable, NoiseAlone) {
  for (const auto& path : listed(speech_folder() / "noise.tsv")) {
    const auto samples = read_audio(path);
    for (const float gain : {1.F, 0.1F}) {
      auto scaled = samples;
      for (float& sample : scaled) sample *= gain;
      int begun = 0;
      for (const auto& event : detect(scaled)) begun += event.kind == Kind::kBegun ? 1 : 0;
      std::printf("%-44s x%.1f %5.1f s: %d\n", path.filename().c_str(), gain,
                  static_cast<double>(samples.size()) / kSampleRate, begun);
    }
  }
}

}  // namespace
}  // namespace ichigo
