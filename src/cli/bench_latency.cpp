#include "cli/bench_latency.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "audio/audio_file.h"
#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/plot.h"
#include "base/progress.h"
#include "cli/options.h"
#include "evaluation/latency.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

struct LatencyArguments {
  std::string input, model, plot, dtype = "auto";
  std::optional<std::string> json;
  int threads = 0;
  EarFiles ear;
  LatencyOptions options;
};

// The named recording, or those of samples/, one behind another.
std::vector<float> speech_of(const std::string& input) {
  if (!input.empty()) return read_audio(input);
  std::vector<fs::path> files;
  for (const fs::path& folder : usual_places("samples")) {
    if (!files.empty() || !fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".wav") files.push_back(entry.path());
    }
  }
  require(!files.empty(), "there are no recordings in samples/: name one with --input");
  std::ranges::sort(files);
  std::vector<float> speech;
  for (const fs::path& file : files) {
    const auto samples = read_audio(file);
    speech.insert(speech.end(), samples.begin(), samples.end());
  }
  return speech;
}

void bench_latency(const LatencyArguments& arguments) {
  arguments.options.validate();
  set_threads(arguments.threads);
  const auto model = find_model(arguments.model);
  const auto speech = speech_of(arguments.input);
  const ConversationConfig one_token{.max_new_tokens = 1};
  Cascade cascade = load_cascade("", "auto", one_token);
  Conversation fused(load_hearing_model(model, arguments.ear, arguments.dtype), one_token);
  std::vector<LatencyCase> cases;
  {
    Progress progress("latency", 0, "rounds");
    cases = measure_latency(fused, cascade, speech, arguments.options,
                            [&](int64_t done, int64_t all) { progress.update(done, concat("of ", all)); });
    progress.finish();
  }
  const std::string json = json_line(latency_json(cases)) + "\n";
  const bool json_only = arguments.json && arguments.json->empty();
  std::fputs(json_only ? json.c_str() : latency_table(cases).c_str(), stdout);
  if (arguments.json && !json_only) write_file(*arguments.json, json);
  if (!arguments.plot.empty()) draw_plot(arguments.plot, 900, 500, latency_plot(cases));
}

}  // namespace

void add_bench_latency_command(CLI::App& bench) {
  auto arguments = std::make_shared<LatencyArguments>();
  auto* command = bench.add_subcommand(
      "latency", "From the end of a question to the first token of its answer: offline, streaming, and the cascade");
  command->add_option("--input", arguments->input, "Speech that questions are cut from (default: those of samples/)");
  command->add_option("--seconds", arguments->options.seconds, "Lengths of the questions")->capture_default_str();
  command->add_option("--repeats", arguments->options.repeats, "How often each is asked")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--model", arguments->model,
                      "Folder of the model, or a GGUF file (default: $ICHIGO_MODEL or models/mini)");
  auto* json = command->add_option_function<std::vector<std::string>>(
      "--json", [arguments](const std::vector<std::string>& file) { arguments->json = file.empty() ? "" : file[0]; },
      "Print JSON instead of the table, or write it to this file");
  json->expected(0, 1)->type_name("[FILE]");
  command->add_option("--plot", arguments->plot, "Draw a bar chart into this SVG file");
  add_dtype_option(*command, arguments->dtype);
  add_ear_options(*command, arguments->ear);
  add_threads_option(*command, arguments->threads);
  command->callback([arguments] { bench_latency(*arguments); });
}

}  // namespace ichigo
