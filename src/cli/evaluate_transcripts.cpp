#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/evaluate_options.h"
#include "evaluation/transcripts.h"
#include "models/sound_tokenizer.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

using nlohmann::json;

std::function<std::string(std::span<const float>)> load_transcriber(const EvaluateArguments& arguments) {
  check_ear(arguments);
  if (arguments.with == "fused") {
    auto model = std::make_shared<Conversation>(
        load_hearing_model(find_model(arguments.model), arguments.ear, arguments.dtype), arguments.config);
    return [model](std::span<const float> samples) { return model->transcribe(samples); };
  }
  auto recogniser = std::make_shared<Recogniser>(
      arguments.model.empty() ? load_whisper_base() : load_recogniser(resolve_base(arguments.model)));
  if (arguments.with == "codes") {
    require(!arguments.ear.sound_tokenizer.empty(), "--with codes needs --tokenizer, the sound tokenizer's weights");
    SoundTokenizer tokenizer(recogniser->whisper.encoder, load_bottleneck(arguments.ear.sound_tokenizer));
    return [recogniser, tokenizer](std::span<const float> samples) {
      return recogniser->transcribe_through_codes(tokenizer, samples);
    };
  }
  return [recogniser](std::span<const float> samples) { return recogniser->transcribe(samples).text; };
}

void transcripts(const EvaluateArguments& arguments) {
  const auto items = read_transcripts(arguments.list, arguments.limit);
  RowsFile rows(arguments, {"path", "transcript", "heard", "errors", "words"});
  set_threads(arguments.threads);
  const auto transcribe = load_transcriber(arguments);
  Progress progress("transcripts", static_cast<int64_t>(items.size()), "items");
  WordErrors so_far;
  int64_t done = 0;
  const WordErrors score = evaluate_transcripts(
      items, [&](const TranscriptItem& item) { return transcribe(read_audio(item.path, arguments.limits)); },
      [&](const TranscriptItem& item, const std::string& heard, const WordErrors& errors) {
        rows.add({std::filesystem::absolute(item.path).string(), item.transcript, heard,
                  std::to_string(errors.errors()), std::to_string(errors.words)});
        so_far += errors;
        progress.update(++done, percent(so_far.rate()) + " word errors");
      });
  progress.finish();
  rows.commit();
  if (arguments.as_json) {
    std::printf("%s\n", json{{"word_error_rate", score.rate()}, {"words", score.words}}.dump().c_str());
  } else {
    std::printf("word error rate %s: %lld errors in %lld words of %zu recordings\n", percent(score.rate()).c_str(),
                static_cast<long long>(score.errors()), static_cast<long long>(score.words), items.size());
  }
}

}  // namespace

void add_evaluate_transcripts_command(CLI::App& evaluate) {
  auto arguments = std::make_shared<EvaluateArguments>();
  auto* write = evaluate.add_subcommand("transcripts", "Word error rate, after Whisper's English normaliser");
  write->add_option("list", arguments->list, "TSV with the columns path and transcript")->required();
  add_list_options(*write, *arguments, {"fused", "cascade", "whisper", "codes"});
  write->callback([arguments] { transcripts(*arguments); });
}

}  // namespace ichigo
