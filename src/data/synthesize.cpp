#include "data/synthesize.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "audio/audio_file.h"
#include "audio/background.h"
#include "audio/log_mel.h"
#include "audio/resampler.h"
#include "audio/text_to_speech.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/mapped_file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/recipe.h"
#include "data/corpus.h"
#include "data/phoneme_set.h"
#include "data/synthesis_output.h"
#include "data/synthesis_recipe.h"
#include "data/token_file.h"
#include "models/sound_tokenizer.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

uint64_t hash_file(const fs::path& path) {
  const MappedFile file(path);
  return stable_hash({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

// The contents of a file, or of the files directly in a folder.
uint64_t hash_path(const fs::path& path) {
  if (!fs::is_directory(path)) return hash_file(path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::string all;
  for (const auto& file : files) all += concat(file.filename().string(), "\n", hash_file(file), "\n");
  return stable_hash(all);
}

// Also who speaks them: both may come from other files than the recipe.
uint64_t hash_rows(const SynthesisRecipe& recipe) {
  uint64_t hash = 0;
  const auto add = [&](const std::string& text) { hash = hash * 0x100000001B3ULL + stable_hash(text); };
  for (const auto& voice : recipe.voices) add(concat(voice.name, " ", voice.weight));
  for (const auto& row : recipe.rows) {
    for (const auto& text : {row.text, row.answer, row.kind, row.recording.string()}) add(text);
    if (row.codes > 0) add(concat(row.codes));
    for (const auto& turn : row.earlier) add(turn.text + "\n" + turn.answer);
    if (recipe.kind != SynthesisKind::kAudio) continue;  // nothing else is written with its keys
    for (const auto& key : row.accept) add(key);
  }
  return hash;
}

fs::path list_path(const SynthesisRecipe& recipe) {
  return recipe.kind == SynthesisKind::kAudio ? recipe.output / "list.tsv"
                                              : fs::path(recipe.output.string() + ".jsonl");
}

// What rows are made by: recipe, texts and weights. Reads the weights.
nlohmann::ordered_json fingerprint(const fs::path& recipe_path, const SynthesisRecipe& recipe) {
  nlohmann::ordered_json print;
  print["recipe"] = concat(stable_hash(recipe_text(recipe_path)));
  print["texts"] = concat(hash_rows(recipe));
  for (const auto& [name, path] : {std::pair{"tokenizer", recipe.tokenizer}, {"whisper", recipe.whisper}}) {
    if (!path.empty()) print[name] = concat(hash_path(path));
  }
  return print;
}

fs::path fingerprint_path(const SynthesisRecipe& recipe) {
  return list_path(recipe).replace_extension().string() + ".fingerprint.json";
}

// Before the output is opened, which takes off what does not fit: rows that are there must be made by the `expected`.
void check_fingerprint(const fs::path& recipe_path, const SynthesisRecipe& recipe,
                       const nlohmann::ordered_json& expected) {
  const fs::path list = list_path(recipe), file = fingerprint_path(recipe);
  const int64_t header = recipe.kind == SynthesisKind::kAudio ? 1 : 0;
  if (!fs::exists(list) || std::ranges::count(read_file(list), '\n') <= header) return;
  require(fs::exists(file), list.string(), " has rows, but ", file.string(),
          ", which says what they were made by, is not there: copy it, too, or choose another output");
  const auto found = nlohmann::json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  for (const auto& [key, value] : expected.items()) {
    require(found.is_object() && found.contains(key) && found[key] == value, list.string(),
            " was begun by another run (different ", key, ") than ", recipe_path.string(),
            " is now; remove it, or choose another output");
  }
}

SoundTokenizer load_tokenizer(const SynthesisRecipe& recipe) {
  if (recipe.kind == SynthesisKind::kCodes) return SoundTokenizer::load(recipe.tokenizer, recipe.whisper);
  // Only the encoder counts; the bottleneck is what the features will train.
  const Whisper whisper = load_whisper(recipe.whisper, at::kFloat, /*with_decoder=*/false);
  SoundTokenizerConfig config;
  config.width = whisper.config.n_audio_state;
  config.n_head = whisper.config.n_audio_head;
  config.head_width = config.width / config.n_head;
  config.cut_to_length = recipe.cut_to_length;
  config.tail_frames = recipe.tail_frames;
  return {whisper.encoder, std::make_shared<Bottleneck>(config)};
}

// Encoder output of the audio itself, without what it was padded with: bfloat16 [samples / 160 / 2, width].
at::Tensor encoder_features(const SoundTokenizer& tokenizer, std::span<const float> samples) {
  std::vector<at::Tensor> pieces;
  for (const auto window : hearing_windows(samples)) {
    const at::Tensor mel = tokenizer.mel(window);
    pieces.push_back(tokenizer.features(mel)[0].narrow(0, 0, mel.size(1) / 2));
  }
  return at::cat(pieces).to(at::kBFloat16);
}

// bfloat16 [samples / 160, kMelBands]: what StreamingLogMel gives before its floor.
at::Tensor log_power_frames(std::span<const float> samples) {
  StreamingLogMel stream(kMelBands);
  stream.accept(samples);
  stream.finish();
  return stream.take().t().to(at::kBFloat16);
}

class Speaker {
 public:
  explicit Speaker(const SynthesisRecipe& recipe) : recipe_(recipe) {
    for (const auto& voice : recipe.voices) {
      if (!voices_.contains(voice.name)) voices_.emplace(voice.name, open_voice(voice.name));
      total_weight_ += voice.weight;
    }
    if (recipe.noise.empty()) return;
    const TsvTable list = read_tsv(recipe.noise);
    for (size_t row = 0; row < list.size(); ++row) {
      const Split split = row % 5 == 2 ? Split::kUnseen : Split::kTrain;
      if (recipe.noise_split && *recipe.noise_split != split) continue;
      noises_.push_back(read_audio(recipe.noise.parent_path() / list.at(row, "path")));
    }
    require(!noises_.empty(), recipe.noise.string(), " lists no recordings");
  }

  // 16 kHz samples of each of a row's turns; sets its voice.
  std::vector<std::vector<float>> utter(const SynthesisRow& row, Random& random, std::string& voice) const {
    switch (row.utterance) {
      case Utterance::kRandomCodes:
        voice = "random";
        return {};
      case Utterance::kNoise:
        voice = "noise";
        return {changed(background(random.uniform(0.5, 6), noises_, random), random)};
      case Utterance::kRecording:
        voice = "recording:" + row.recording.string();
        return {changed(read_audio(row.recording), random)};
      case Utterance::kSpeech:
        break;
    }
    voice = choose(random);
    const VoiceSettings settings{random.uniform(recipe_.rate.min, recipe_.rate.max),
                                 random.uniform(recipe_.pitch.min, recipe_.pitch.max)};
    std::vector<std::vector<float>> turns;
    const auto speak = [&](const std::string& text) {
      const Audio audio = voices_.at(voice)->speak(text, settings);
      turns.push_back(changed(resample(audio.samples, audio.rate, kSampleRate), random));
    };
    for (const auto& turn : row.earlier) speak(turn.text);
    speak(row.text);
    return turns;
  }

 private:
  std::vector<float> changed(std::vector<float> samples, Random& random) const {
    return recipe_.augmentation ? augment(samples, *recipe_.augmentation, noises_, random) : samples;
  }
  const std::string& choose(Random& random) const {
    double left = random.uniform() * total_weight_;
    for (const auto& voice : recipe_.voices) {
      left -= voice.weight;
      if (left < 0) return voice.name;
    }
    return recipe_.voices.back().name;
  }
  const SynthesisRecipe& recipe_;
  std::map<std::string, std::unique_ptr<TextToSpeech>> voices_;
  double total_weight_ = 0;
  std::vector<std::vector<float>> noises_;
};

std::vector<int> random_codes(int64_t count, int64_t codes, Random& random) {
  std::vector<int> drawn(static_cast<size_t>(count));
  for (auto& code : drawn) code = static_cast<int>(random.below(static_cast<uint64_t>(codes)));
  return drawn;
}

SpokenRow produce(const SynthesisRecipe& recipe, const Speaker& speaker, const std::optional<SoundTokenizer>& tokenizer,
                  int64_t index) {
  thread_local bool prepared = false;
  if (!std::exchange(prepared, true)) at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  SpokenRow spoken;
  spoken.row = &recipe.rows[static_cast<size_t>(index)];
  if (recipe.kind == SynthesisKind::kText) return spoken;
  Random random = Random::keyed(recipe.seed, stable_hash("row"), index);
  const auto turns = speaker.utter(*spoken.row, random, spoken.voice);
  for (const auto& samples : turns) spoken.seconds += static_cast<double>(samples.size()) / kSampleRate;
  std::vector<at::Tensor> clips;
  switch (recipe.kind) {
    case SynthesisKind::kCodes:
      for (const auto& samples : turns) {
        at::Tensor features;
        spoken.sound.push_back(tokenizer->encode(samples, nullptr, recipe.with_features ? &features : nullptr));
        if (recipe.with_features) clips.push_back(features.to(at::kBFloat16));
      }
      if (recipe.with_features) spoken.features = at::cat(clips);
      if (spoken.row->utterance == Utterance::kRandomCodes) {
        spoken.sound.push_back(random_codes(spoken.row->codes, tokenizer->config().codes, random));
      }
      break;
    case SynthesisKind::kFeatures:
      spoken.features = encoder_features(*tokenizer, turns.back());
      spoken.phonemes = fold_phones(espeak_phonemes(spoken.row->text));
      break;
    case SynthesisKind::kMel:
      spoken.features = log_power_frames(turns.back());
      spoken.phonemes = fold_phones(espeak_phonemes(spoken.row->text));
      break;
    case SynthesisKind::kAudio:
      for (size_t turn = 0; turn < turns.size(); ++turn) {
        write_audio(synthesis_audio_path(recipe.output, index, turns.size() - 1 - turn), turns[turn]);
      }
      break;
    case SynthesisKind::kText:
      break;
  }
  return spoken;
}

}  // namespace

SynthesizeResult synthesize(const fs::path& recipe_path, const SynthesizeOptions& options) {
  require(options.threads >= 0 && options.limit >= 0, "threads and limit must not be negative");
  require(0 <= options.shard && options.shard < options.shards, "the shard must be one of 0 to ", options.shards - 1,
          ", not ", options.shard);
  SynthesisRecipe recipe = read_synthesis_recipe(recipe_path);
  const auto all = static_cast<int64_t>(recipe.rows.size());
  const int64_t first = all * options.shard / options.shards, last = all * (options.shard + 1) / options.shards;
  if (options.shards > 1) {
    require(recipe.kind == SynthesisKind::kCodes || recipe.kind == SynthesisKind::kText, recipe_path.string(),
            ": only codes and text can be made in shards");
    require(!recipe.with_features, recipe_path.string(), ": features cannot be made in shards: leave out --shards");
    recipe.output = shard_path(recipe.output, options.shard, options.shards);
  }
  const Speaker speaker(recipe);  // first: voices speak in processes split off from this one while it is small
  std::optional<SoundTokenizer> tokenizer;
  if (recipe.hears()) tokenizer.emplace(load_tokenizer(recipe));
  const auto made_by = fingerprint(recipe_path, recipe);
  check_fingerprint(recipe_path, recipe, made_by);
  const auto output = open_synthesis_output(recipe, tokenizer ? tokenizer->config().width : kMelBands, first);
  write_file(fingerprint_path(recipe), made_by.dump(1) + "\n");

  SynthesizeResult result{output->rows(), last - first, 0, recipe.output};
  require(result.rows <= result.total, recipe.output.string(), " has more rows than the recipe asks for");
  const int64_t end = options.limit > 0 ? std::min(result.total, result.rows + options.limit) : result.total;
  // A thread waits while its voice's process speaks: two for each core keep the cores busy.
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(2 * std::max(1U, std::thread::hardware_concurrency()));
  Progress progress("synthesize", result.total, "rows", result.rows);
  const auto begin = std::chrono::steady_clock::now();
  try {
    parallel_ordered<SpokenRow>(
        first + result.rows, first + end, threads,
        [&](int64_t index, int) { return produce(recipe, speaker, tokenizer, index); },
        [&](int64_t, const SpokenRow& row) {
          output->write(row);
          ++result.rows;
          result.seconds += row.seconds;
          const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
          char detail[48];
          std::snprintf(detail, sizeof detail, "%.0f x real time", result.seconds / std::max(elapsed, 1e-3));
          progress.update(result.rows, detail);
          return !interrupted();
        });
  } catch (const Error&) {
    // Ctrl-C reaches the processes that speak for us, too, and they end in the middle of a sentence.
    if (!interrupted()) throw;
  }
  progress.finish();
  output->sync();
  return result;
}

}  // namespace ichigo
