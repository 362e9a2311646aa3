#include "cli/evaluate.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "audio/audio_file.h"
#include "base/atomic_file.h"
#include "base/device.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/options.h"
#include "evaluation/perplexity.h"
#include "evaluation/phone_error_rate.h"
#include "evaluation/questions.h"
#include "evaluation/transcripts.h"
#include "models/sound_tokenizer.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

using nlohmann::json;

struct Arguments {
  std::string list, with = "fused", model, rows, tokenizer, dtype = "auto";
  int64_t context = 512;
  size_t limit = 0;
  bool as_json = false;
  int threads = 0;
  EarFiles ear;
  AudioLimits limits;
  ConversationConfig config;
};

// The file of --rows: a TSV, so that it can be read, and given to evaluate again. It appears when all is done.
class RowsFile {
 public:
  RowsFile(const std::string& path, const std::vector<std::string>& columns) {
    if (path.empty()) return;
    file_.emplace(path);
    add(columns);
  }
  void add(const std::vector<std::string>& cells) {
    if (!file_) return;
    std::string line;
    for (std::string cell : cells) {
      std::ranges::replace_if(
          cell, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
      line += (line.empty() ? "" : "\t") + cell;
    }
    file_->write(line + "\n");
  }
  void commit() {
    if (file_) file_->commit();
  }

 private:
  std::optional<AtomicFile> file_;
};

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "|") + part;
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

// Each way of hearing uses its own parts of an ear: what would be ignored is refused.
void check_ear(const Arguments& arguments) {
  if (arguments.with == "fused") return;
  require(arguments.ear.whisper.empty(), "--whisper belongs to --with fused; --with ", arguments.with,
          " takes Whisper from --model");
  require(arguments.with == "codes" || arguments.ear.empty(), "--with ", arguments.with, " needs no --tokenizer");
}

std::unique_ptr<Assistant> load_assistant(const Arguments& arguments) {
  check_ear(arguments);
  if (arguments.with == "cascade") return std::make_unique<Cascade>(load_cascade(arguments.model, arguments.config));
  const auto model = find_model(arguments.model);
  return std::make_unique<Conversation>(
      arguments.with == "fused" ? load_hearing_model(model, arguments.ear, arguments.dtype)
                                : load_text_model(model, arguments.dtype),
      arguments.config);
}

void questions(const Arguments& arguments) {
  const bool typed = arguments.with == "text";
  const auto items =
      read_questions(arguments.list, typed ? QuestionForm::kTyped : QuestionForm::kSpoken, arguments.limit);
  RowsFile rows(arguments.rows, {typed ? "text" : "path", "answer", "said", "right"});
  set_threads(arguments.threads);
  const auto assistant = load_assistant(arguments);
  Progress progress("questions", static_cast<int64_t>(items.size()), "items");
  int64_t done = 0;
  int64_t right_so_far = 0;
  const auto score = evaluate_questions(
      items,
      [&](const QuestionItem& item) {
        assistant->reset();
        return typed ? assistant->ask(item.text, {}).text
                     : assistant->hear(read_audio(item.path, arguments.limits), "", {}).text;
      },
      [&](const QuestionItem& item, const std::string& said, bool right) {
        rows.add({typed ? item.text : std::filesystem::absolute(item.path).string(), joined(item.answers), said,
                  right ? "1" : "0"});
        right_so_far += right ? 1 : 0;
        ++done;
        progress.update(done, percent(static_cast<double>(right_so_far) / static_cast<double>(done)) + " right");
      });
  progress.finish();
  rows.commit();
  if (arguments.as_json) {
    std::printf("%s\n", json{{"accuracy", score.accuracy()}, {"items", score.items}}.dump().c_str());
  } else {
    std::printf("%lld of %lld right: %s\n", static_cast<long long>(score.right), static_cast<long long>(score.items),
                percent(score.accuracy()).c_str());
  }
}

std::function<std::string(std::span<const float>)> load_transcriber(const Arguments& arguments) {
  check_ear(arguments);
  if (arguments.with == "fused") {
    auto model = std::make_shared<Conversation>(load_hearing_model(find_model(arguments.model), arguments.ear, arguments.dtype),
                                                arguments.config);
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

void transcripts(const Arguments& arguments) {
  const auto items = read_transcripts(arguments.list, arguments.limit);
  RowsFile rows(arguments.rows, {"path", "transcript", "heard", "errors", "words"});
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

void sound_tokenizer(const Arguments& arguments) {
  set_threads(arguments.threads);
  const SoundTokenizerScore score = evaluate_sound_tokenizer(arguments.list, arguments.tokenizer);
  if (arguments.as_json) {
    const json result = {{"phone_error_rate", score.phone_error_rate},
                         {"codebook_perplexity", score.codebook_perplexity},
                         {"codes_used", score.codes_used},
                         {"phones", score.phones},
                         {"clips", score.clips}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("phone error rate %s of %lld phones in %lld clips", percent(score.phone_error_rate).c_str(),
              static_cast<long long>(score.phones), static_cast<long long>(score.clips));
  if (score.codebook_perplexity > 0) {
    std::printf("; codebook perplexity %.1f, %lld codes used", score.codebook_perplexity,
                static_cast<long long>(score.codes_used));
  }
  std::printf("\n");
}

void perplexity(const Arguments& arguments) {
  const std::string text = read_file(arguments.list);
  set_threads(arguments.threads);
  const FusedModel model = load_text_model(find_model(arguments.model), arguments.dtype);
  // A BOS token takes the first place of every window where the vocabulary adds one.
  const auto opening = model.tokenizer->encode("", true);
  const auto ids = model.tokenizer->encode(text);
  const int64_t windows = static_cast<int64_t>(ids.size()) / arguments.context;
  const auto limit = static_cast<int64_t>(arguments.limit);
  Progress progress("perplexity", limit > 0 ? std::min(limit, windows) : windows, "windows");
  int64_t done = 0;
  const auto score = evaluate_perplexity(*model.decoder, ids, arguments.context, opening.empty() ? -1 : opening[0],
                                         limit, [&](const PerplexityScore& so_far) {
                                           char detail[32];
                                           std::snprintf(detail, sizeof detail, "%.3f", so_far.perplexity());
                                           progress.update(++done, detail);
                                         });
  progress.finish();
  if (arguments.as_json) {
    std::printf("%s\n", json{{"perplexity", score.perplexity()}, {"tokens", score.tokens}}.dump().c_str());
  } else {
    std::printf("perplexity %.4f over %lld tokens\n", score.perplexity(), static_cast<long long>(score.tokens));
  }
}

void add_list_options(CLI::App& command, Arguments& arguments, const std::vector<std::string>& with) {
  command.add_option("--with", arguments.with, "Who is measured; the cascade is Whisper, then a language model")
      ->check(CLI::IsMember(with))
      ->capture_default_str();
  command.add_option(
      "--model", arguments.model,
      "Folder of the model (default: $ICHIGO_MODEL or models/mini; cascade and whisper: the base weights)");
  add_dtype_option(command, arguments.dtype);
  add_ear_options(command, arguments.ear);  // with codes: the sound tokenizer whose codes Whisper's decoder reads
  command.add_option("--rows", arguments.rows, "Write a TSV with a row for each item");
  command.add_option("--limit", arguments.limit, "Only the first rows of the list (0: all)");
  command.add_flag("--json", arguments.as_json, "Print one JSON object");
  add_threads_option(command, arguments.threads);
  add_max_seconds_option(command, arguments.limits.max_seconds);
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  auto* command = app.add_subcommand("evaluate", "Measure a model");
  command->require_subcommand(1);

  auto arguments = std::make_shared<Arguments>();
  auto* ask = command->add_subcommand("questions", "The share of questions that are answered right");
  ask->add_option("list", arguments->list,
                  "TSV with the columns path (or text, for typed ones) and answer (any of a|b)")
      ->required();
  add_list_options(*ask, *arguments, {"fused", "cascade", "text"});
  add_generation_options(*ask, arguments->config);
  ask->callback([arguments] { questions(*arguments); });

  arguments = std::make_shared<Arguments>();
  auto* write = command->add_subcommand("transcripts", "Word error rate, after Whisper's English normaliser");
  write->add_option("list", arguments->list, "TSV with the columns path and transcript")->required();
  add_list_options(*write, *arguments, {"fused", "cascade", "whisper", "codes"});
  write->callback([arguments] { transcripts(*arguments); });

  arguments = std::make_shared<Arguments>();
  auto* measure = command->add_subcommand("tokenizer", "Phone error rate and codebook perplexity of a sound tokenizer");
  measure->add_option("features", arguments->list, "Encoder features made by synthesize, without ending")->required();
  measure->add_option("--tokenizer", arguments->tokenizer, "Folder of the trained sound tokenizer")->required();
  measure->add_flag("--json", arguments->as_json, "Print one JSON object");
  add_threads_option(*measure, arguments->threads);
  measure->callback([arguments] { sound_tokenizer(*arguments); });

  arguments = std::make_shared<Arguments>();
  auto* predict =
      command->add_subcommand("perplexity", "How well a language model predicts a text, as llama.cpp counts");
  predict->add_option("text", arguments->list, "UTF-8 text")->required();
  predict->add_option("--model", arguments->model, "Folder of the model, or a GGUF file")->required();
  predict->add_option("--context", arguments->context, "Tokens of a window; its second half counts")
      ->check(CLI::Range(int64_t{4}, int64_t{1} << 20))
      ->capture_default_str();
  predict->add_option("--limit", arguments->limit, "Only the first windows (0: all)");
  arguments->dtype = kTextDtype;
  add_dtype_option(*predict, arguments->dtype);
  predict->add_flag("--json", arguments->as_json, "Print one JSON object");
  add_threads_option(*predict, arguments->threads);
  predict->callback([arguments] { perplexity(*arguments); });
}

}  // namespace ichigo
