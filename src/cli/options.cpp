#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <limits>

#include "base/error.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "models/mini";

}  // namespace

std::vector<fs::path> usual_places(const fs::path& name) {
  std::vector<fs::path> places = {name};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (!error) {
    places.push_back((program / "../.." / name).lexically_normal());
    places.push_back((program / "../share/ichigo" / name).lexically_normal());
  }
  return places;
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Processor threads (0: all cores)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

void add_dtype_option(CLI::App& command, std::string& dtype) {
  command
      .add_option("--dtype", dtype,
                  "Weights to compute with: auto (as stored, or in the next of these), float32, bfloat16, q8_0, q4_0")
      ->capture_default_str();
}

void add_max_seconds_option(CLI::App& command, double& seconds) {
  command.add_option("--max-seconds", seconds, "Refuse a longer recording, in seconds (0: no limit)")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
}

void add_generation_options(CLI::App& command, ConversationConfig& config) {
  SamplingConfig& sampling = config.sampling;
  const char* group = "Answer";
  command.add_option("--max-tokens", config.max_new_tokens, "Longest answer, in tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--temperature", sampling.temperature, "0: always the most likely token; 1: as the model predicts")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--top-k", sampling.top_k, "Draw among the K most likely tokens (0: all)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str()
      ->group(group);
  command.add_option("--top-p", sampling.top_p, "Draw among the most likely tokens of this total probability")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--repetition-penalty", sampling.repetition_penalty, "Above 1: seen tokens become less likely")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", sampling.seed, "Of the drawing: the same seed, the same answer")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str()
      ->group(group);
}

fs::path find_model(const std::string& named) {
  if (!named.empty()) return resolve_base(named);
  if (const char* variable = std::getenv("ICHIGO_MODEL"); variable != nullptr && *variable != '\0') return variable;
  for (const auto& place : usual_places(kDefaultModel)) {
    if (fs::exists(place / "config.json")) return place;
  }
  fail("there is no model in ", kDefaultModel,
       ": name one with --model, train one (ichigo train), or run \"ichigo fetch base\" and use --cascade");
}

void add_ear_options(CLI::App& command, EarFiles& ear) {
  const char* group = "Ear";
  command
      .add_option("--tokenizer", ear.sound_tokenizer, "Weights of the sound tokenizer (default: as ichigo.json says)")
      ->group(group);
  command.add_option("--whisper", ear.whisper, "Whisper's weights, whose encoder it hears with")->group(group);
}

EarFiles ear_of(const fs::path& model, const EarFiles& named) {
  EarFiles ear = model.empty() ? EarFiles() : find_ear(model);
  if (!named.empty()) {
    ear.sound_tokenizer = resolve_base(named.sound_tokenizer);
    ear.whisper = resolve_base(named.whisper);  // an adapter stays: the model knows nothing else
  }
  if (ear.empty()) open_model_directory(model);  // what is no model at all is told first
  require(!ear.empty(), model.string(),
          " is a text-only model, which cannot hear: there is no ichigo.json beside it that names an ear: name "
          "one with --tokenizer and --whisper, or speak to it through \"ichigo ask --cascade\"");
  return ear;
}

FusedModel load_text_model(const fs::path& model, const std::string& dtype) {
  return load_fused_model(model, PackedTypes::parse(dtype), {});
}

FusedModel load_hearing_model(const fs::path& model, const EarFiles& named, const std::string& dtype) {
  return load_fused_model(model, PackedTypes::parse(dtype), ear_of(model, named));
}

Recogniser load_whisper_base() {
  return load_recogniser(require_base("whisper-tiny.en"));
}

Cascade load_cascade(const std::string& model, const std::string& dtype, ConversationConfig config) {
  const fs::path folder = model.empty() ? require_base("smollm2-135m-instruct") : resolve_base(model);
  FusedModel language_model = load_text_model(folder, dtype == "auto" ? kTextDtype : dtype);
  // A model with sound tokens was tuned to answer without a system message.
  if (language_model.tokenizer->id_of(sound_token(0)) < 0) config.system_prompt = kSpokenSystemPrompt;
  return {load_whisper_base(), std::move(language_model), std::move(config)};
}

}  // namespace ichigo
