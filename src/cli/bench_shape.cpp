#include "cli/bench_shape.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/machine.h"
#include "cli/options.h"
#include "evaluation/throughput.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

using nlohmann::json;

struct Arguments {
  std::vector<std::string> shapes, types;
  std::string model;
  bool as_json = false;
  int threads = 0;
  ThroughputConfig settings;
};

std::unique_ptr<PackedLlama> load(const Arguments& arguments, const std::string& shape, const std::string& type,
                                  LlamaConfig& config) {
  if (arguments.model.empty()) {
    config = named_shape(shape);
    return random_llama(config, PackedTypes::parse(type));
  }
  const ModelDirectory directory = open_model_directory(find_model(arguments.model));
  config = LlamaConfig::from_json(directory.config);
  return std::make_unique<PackedLlama>(config, *directory.weights, PackedTypes::parse(type));
}

void bench_shape(const Arguments& arguments) {
  require(arguments.model.empty() || arguments.shapes.empty(), "a model has its own shape: leave out --shape");
  set_threads(arguments.threads);
  std::vector<std::string> shapes = arguments.shapes, types = arguments.types;
  if (!arguments.model.empty()) shapes = {arguments.model};
  if (shapes.empty()) shapes = {"smollm2-135m"};
  if (types.empty())
    types = arguments.model.empty() ? std::vector<std::string>{"bfloat16", "q8_0", "q4_0"}
                                    : std::vector<std::string>{"auto"};
  json rows = json::array();
  for (const std::string& shape : shapes) {
    for (const std::string& type : types) {
      LlamaConfig config;
      const auto model = load(arguments, shape, type, config);
      const Throughput result = measure_throughput(*model, config, arguments.settings);
      rows.push_back({{"shape", shape},
                      {"type", type == "bfloat16" ? "bf16" : type},
                      {"prefill_tokens_per_s", result.prefill_tokens_per_s},
                      {"decode_tokens_per_s", result.decode_tokens_per_s},
                      {"share_of_bandwidth", result.share_of_bandwidth},
                      {"share_of_matrix_peak", result.share_of_matrix_peak},
                      {"memory_bandwidth_gb_per_s", result.memory_bandwidth},
                      {"matrix_peak_gflops", result.matrix_peak},
                      {"weight_bytes", result.weight_bytes},
                      {"resident_bytes", resident_memory()}});
      if (arguments.as_json) continue;
      if (rows.size() == 1) {
        std::printf("%-14s %-8s %17s %17s %18s %18s\n", "shape", "type", "prefill tokens/s", "decode tokens/s",
                    "of matrix peak", "of bandwidth");
      }
      std::printf("%-14s %-8s %17.1f %17.1f %6.0f %% of %4.0f G/s %5.0f %% of %3.0f GB/s\n", shape.c_str(),
                  type.c_str(), result.prefill_tokens_per_s, result.decode_tokens_per_s,
                  100 * result.share_of_matrix_peak, result.matrix_peak, 100 * result.share_of_bandwidth,
                  result.memory_bandwidth);
      std::fflush(stdout);
    }
  }
  if (arguments.as_json) std::printf("%s\n", json_line(json{{"rows", rows}}).c_str());
}

}  // namespace

void add_bench_shape_command(CLI::App& bench) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      bench.add_subcommand("shape", "Tokens a second of a decoder, beside what the machine could do at most");
  command->add_option("--shape", arguments->shapes,
                      "Random weights of smollm2-135m (default), llama-3.2-1b or llama-3.1-8b; may be given again");
  command->add_option("--model", arguments->model, "A model's folder or GGUF file instead, as it is stored");
  command->add_option("--type", arguments->types,
                      "Weights: bfloat16, q8_0, q4_0, float32; may be given again (default: the first three)");
  command->add_option("--prompt", arguments->settings.prompt_tokens, "Tokens of the prompt")
      ->check(CLI::Range(int64_t{1}, int64_t{8192}))
      ->capture_default_str();
  command->add_option("--tokens", arguments->settings.answer_tokens, "Tokens of the answer")
      ->check(CLI::Range(int64_t{1}, int64_t{8192}))
      ->capture_default_str();
  command->add_option("--repeats", arguments->settings.repeats, "Runs, of which the median counts")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  command->add_flag("--json", arguments->as_json, "Print one JSON object");
  add_threads_option(*command, arguments->threads);
  command->callback([arguments] { bench_shape(*arguments); });
}

}  // namespace ichigo
