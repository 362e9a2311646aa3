#include "data/synthesis_recipe.h"

#include <algorithm>
#include <cmath>

#include "audio/log_mel.h"
#include "base/error.h"
#include "base/recipe.h"
#include "data/questions.h"
#include "data/token_file.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

struct Source {
  double share = 0;
  int64_t copies = 0;
  int64_t join = 1;                      // sentences: up to so many become one text
  std::vector<SynthesisRow> rows;        // sentences, instructions, recordings, inaudible
  std::vector<int64_t> lengths;          // inaudible: of random codes; empty: noise
  std::optional<QuestionSet> questions;  // always by share
  int64_t turns = 1;                     // questions: more than one make a dialogue
};

SynthesisRow text_row(std::string kind, std::string text, std::string answer = "") {
  SynthesisRow row;
  row.kind = std::move(kind);
  row.text = std::move(text);
  row.answer = std::move(answer);
  return row;
}

Range read_range(RecipeNode node, double lowest) {
  Range range{node.number("min", 1), node.number("max", 1)};
  node.finish();
  require(lowest < range.min && range.min <= range.max, node.where(), ": expected ", lowest, " < min <= max");
  return range;
}

// "voices", or those of "voices_file", which several recipes may share.
std::vector<WeightedVoice> read_voices(RecipeNode& recipe) {
  auto groups = recipe.children("voices");
  if (const auto file = recipe.path("voices_file", ""); !file.empty()) {
    require(groups.empty(), recipe.where(), ": expected either \"voices\" or \"voices_file\"");
    RecipeNode shared = read_recipe(file);
    groups = shared.children("voices");
    shared.finish();
  }
  std::vector<WeightedVoice> voices;
  for (auto& node : groups) {
    const auto names = node.texts("names");
    const double weight = node.number("weight", 1);
    node.finish();
    require(!names.empty(), node.where(), ": \"names\" must list at least one voice");
    require(weight > 0, node.where(), ": \"weight\" must be positive");
    for (const auto& name : names) voices.push_back({name, weight / static_cast<double>(names.size())});
  }
  return voices;
}

AugmentationConfig read_augmentation(RecipeNode node) {
  AugmentationConfig config;
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, double*>>{{"probability", &config.probability},
                                                              {"min_speed", &config.min_speed},
                                                              {"max_speed", &config.max_speed},
                                                              {"max_silence_seconds", &config.max_silence_seconds},
                                                              {"equalizer_probability", &config.equalizer_probability},
                                                              {"equalizer_db", &config.equalizer_db},
                                                              {"min_gain_db", &config.min_gain_db},
                                                              {"max_gain_db", &config.max_gain_db},
                                                              {"noise_probability", &config.noise_probability},
                                                              {"min_snr_db", &config.min_snr_db},
                                                              {"max_snr_db", &config.max_snr_db},
                                                              {"room_probability", &config.room_probability},
                                                              {"min_room_seconds", &config.min_room_seconds},
                                                              {"max_room_seconds", &config.max_room_seconds}}) {
    *value = node.number(key, *value);
  }
  node.finish();
  node.validate(config);
  return config;
}

// Answers to what cannot be understood; what is heard is drawn when the rows are planned.
void read_inaudible(RecipeNode& node, Source& source) {
  const std::string as = node.text("as", "noise");
  require(as == "noise" || as == "random_codes", node.where(), ": \"as\" must be noise or random_codes, not \"", as,
          "\"");
  for (auto& answer : read_inaudible_answers(node.path("inaudible"))) {
    source.rows.push_back(text_row("inaudible", "", std::move(answer)));
    source.rows.back().accept = inaudible_keys();
    source.rows.back().utterance = as == "noise" ? Utterance::kNoise : Utterance::kRandomCodes;
  }
  if (as == "noise") return;
  for (const auto& row : read_token_file(node.path("lengths"))) {
    if (!row.sound.empty()) source.lengths.push_back(static_cast<int64_t>(row.sound.size()));
  }
  require(!source.lengths.empty(), node.where(), ": no row of \"lengths\" has sound");
}

// Only the texts that ask nothing, each with an answer that says so.
void keep_statements(RecipeNode& node, Source& source) {
  require((node.has("sentences") || node.has("recordings")) && source.join == 1, node.where(),
          ": \"statements\" belongs to \"recordings\", or to \"sentences\" that are not joined");
  std::erase_if(source.rows, [](const SynthesisRow& row) { return !asks_nothing(row.text); });
  require(!source.rows.empty(), node.where(), ": each of its texts asks something");
  const auto answers = read_statement_answers(node.path("statements"));
  for (auto& row : source.rows) {
    row.kind = "statement";
    row.answer = answers[stable_hash(row.text) % answers.size()];
    row.accept = statement_keys();
  }
}

Source read_source(RecipeNode& node) {
  Source source;
  const auto split = [&] { return parse_split(node.text("split", "train"), node.where()); };
  for (const char* key : {"questions", "dialogues", "sentences", "instructions", "recordings", "inaudible"})
    node.text(key, "");  // known, so that two of them are told as such
  int texts = 0;
  if (node.has("questions")) {
    ++texts;
    source.questions.emplace(node.path("questions"), split(), node.text("kind", ""));
  }
  if (node.has("dialogues")) {
    ++texts;
    source.questions.emplace(node.path("dialogues"), split());
    source.turns = node.integer("turns", 2);
    require(2 <= source.turns && source.turns <= 4, node.where(), ": \"turns\" must be from 2 to 4");
  }
  if (node.has("inaudible")) {
    ++texts;
    read_inaudible(node, source);
  }
  if (node.has("sentences")) {
    ++texts;
    for (auto& text : read_sentences(node.path("sentences"), split())) {
      source.rows.push_back(text_row("transcript", std::move(text)));
    }
    source.join = node.integer("join", 1);
    require(1 <= source.join && source.join <= 100, node.where(), ": \"join\" must be from 1 to 100");
  }
  if (node.has("instructions")) {
    ++texts;
    const TsvTable table = read_tsv(node.path("instructions"));
    for (size_t row = 0; row < table.size(); ++row) {
      require(!table.at(row, "question").empty() && !table.at(row, "answer").empty(), table.place(row),
              ": question and answer must not be empty");
      source.rows.push_back(text_row("instruction", table.at(row, "question"), table.at(row, "answer")));
    }
    require(!source.rows.empty(), node.path("instructions").string(), " has no row");
  }
  if (node.has("recordings")) {
    ++texts;
    const std::string part = node.text("path_contains", "");
    for (auto& recording : read_recordings(node.path("recordings"))) {
      if (recording.path.string().find(part) == std::string::npos) continue;
      source.rows.push_back(text_row("transcript", std::move(recording.transcript)));
      source.rows.back().utterance = Utterance::kRecording;
      source.rows.back().recording = std::move(recording.path);
    }
    require(!source.rows.empty(), node.where(), ": no recording's path contains \"", part, "\"");
  }
  require(texts == 1, node.where(),
          ": expected one of \"questions\", \"dialogues\", \"sentences\", \"instructions\", \"recordings\", "
          "\"inaudible\"");
  if (node.has("statements")) keep_statements(node, source);
  source.share = node.number("share", 0);
  source.copies = node.integer("copies", 0);
  node.finish();
  require(source.share >= 0 && source.copies >= 0 && (source.share > 0) != (source.copies > 0), node.where(),
          ": expected either \"share\" (of the recipe's \"rows\") or \"copies\" (of each text), above zero");
  require(source.copies == 0 || !source.questions, node.where(), ": questions are drawn by \"share\"");
  require(source.copies == 0 || source.lengths.empty(), node.where(), ": random codes are drawn by \"share\"");
  require(source.copies <= 1000, node.where(), ": \"copies\" must be at most 1000");
  return source;
}

// `count` rows: each of the items once in random order, then again in another order... A row joins the texts of one to
// `join` items that follow each other in that order.
void append_cycled(const std::vector<SynthesisRow>& items, int64_t count, int64_t join, Random random,
                   std::vector<SynthesisRow>& rows) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  size_t place = 0;
  const auto next = [&]() -> const SynthesisRow& {
    if (place == 0) random.shuffle(order);
    const SynthesisRow& item = items[order[place]];
    place = (place + 1) % order.size();
    return item;
  };
  for (int64_t i = 0; i < count; ++i) {
    rows.push_back(next());
    if (join == 1) continue;
    for (auto more = random.below(static_cast<uint64_t>(join)); more > 0; --more) rows.back().text += " " + next().text;
  }
}

SynthesisRow dialogue_row(std::vector<Question> questions) {
  SynthesisRow row;
  row.kind = questions.size() > 1 ? "dialogue" : "question";
  for (auto& question : questions) {
    row.earlier.push_back({std::move(question.text), std::move(question.answer), std::move(question.accept)});
  }
  static_cast<SynthesisTurn&>(row) = std::move(row.earlier.back());
  row.earlier.pop_back();
  return row;
}

std::vector<SynthesisRow> plan_rows(const std::vector<Source>& sources, int64_t drawn, uint64_t seed) {
  double total = 0, done = 0;
  for (const auto& source : sources) total += source.share;
  std::vector<SynthesisRow> rows;
  int64_t taken = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    const Random random = Random::keyed(seed, stable_hash("source"), i);
    if (source.copies > 0) {
      append_cycled(source.rows, source.copies * static_cast<int64_t>(source.rows.size()), source.join, random, rows);
      continue;
    }
    done += source.share;
    const int64_t count = std::llround(static_cast<double>(drawn) * done / total) - taken;
    taken += count;
    if (source.turns > 1) {
      for (auto& dialogue : source.questions->draw_dialogues(count, static_cast<int>(source.turns), random.state())) {
        rows.push_back(dialogue_row(std::move(dialogue)));
      }
    } else if (source.questions) {
      for (auto& question : source.questions->draw(count, random.state())) {
        rows.push_back(dialogue_row({std::move(question)}));
      }
    } else {
      const size_t first = rows.size();
      append_cycled(source.rows, count, source.join, random, rows);
      Random lengths = Random::keyed(random.state(), stable_hash("lengths"));
      for (size_t row = first; row < rows.size() && !source.lengths.empty(); ++row) {
        rows[row].codes = source.lengths[lengths.below(source.lengths.size())];
      }
    }
  }
  Random::keyed(seed, stable_hash("order")).shuffle(rows);
  return rows;
}

}  // namespace

SynthesisRecipe read_synthesis_recipe(const std::filesystem::path& path) {
  RecipeNode node = read_recipe(path);
  SynthesisRecipe recipe;
  const std::string kind = node.text("synthesize");
  if (kind == "features") {
    recipe.kind = SynthesisKind::kFeatures;
    recipe.cut_to_length = node.flag("cut_to_length", true);
    recipe.tail_frames = node.integer("tail_frames", 0);
    require(recipe.tail_frames >= 0 && recipe.tail_frames <= kWindowFrames, path.string(),
            ": \"tail_frames\" must be from 0 to ", kWindowFrames);
  } else if (kind == "mel") {
    recipe.kind = SynthesisKind::kMel;
  } else if (kind == "audio") {
    recipe.kind = SynthesisKind::kAudio;
  } else if (kind == "text") {
    recipe.kind = SynthesisKind::kText;
  } else {
    require(kind == "codes", path.string(),
            ": \"synthesize\" must be \"codes\", \"features\", \"mel\", \"audio\" or \"text\", not \"", kind, "\"");
    recipe.tokenizer = resolve_base(node.text("tokenizer"));
    recipe.with_features = node.flag("features", false);
  }
  if (recipe.hears()) recipe.whisper = resolve_base(node.text("whisper"));
  recipe.output = node.path("output");
  recipe.seed = static_cast<uint64_t>(node.integer("seed", 1));
  recipe.voices = read_voices(node);
  recipe.rate = read_range(node.child("rate"), 0);
  recipe.pitch = read_range(node.child("pitch"), 0);
  recipe.noise = node.path("noise", "");
  if (node.has("noise_split")) recipe.noise_split = parse_split(node.text("noise_split"), node.where());
  if (node.has("augmentation")) recipe.augmentation = read_augmentation(node.child("augmentation"));
  const int64_t drawn = node.integer("rows", 0);
  std::vector<Source> sources;
  bool shares = false;
  for (auto& child : node.children("sources")) {
    sources.push_back(read_source(child));
    shares = shares || sources.back().share > 0;
  }
  node.finish();
  require(!sources.empty(), path.string(), ": \"sources\" must list at least one source of texts");
  require(
      drawn >= 0 && drawn <= 100'000'000 && (drawn > 0) == shares, path.string(),
      shares ? ": \"rows\" must say how many rows are drawn by share" : ": \"rows\" needs a source with a \"share\"");
  recipe.rows = plan_rows(sources, drawn, recipe.seed);
  const auto any = [&](Utterance utterance) {
    return std::ranges::any_of(recipe.rows, [&](const auto& row) { return row.utterance == utterance; });
  };
  require(!any(Utterance::kSpeech) || !recipe.voices.empty() || recipe.kind == SynthesisKind::kText, path.string(),
          ": \"voices\" must list who speaks the texts");
  require(recipe.noise.empty() || recipe.augmentation || any(Utterance::kNoise), path.string(),
          ": \"noise\" needs \"augmentation\"");
  require(!recipe.noise_split || !recipe.noise.empty(), path.string(), ": \"noise_split\" needs \"noise\"");
  const bool sequences = recipe.kind == SynthesisKind::kCodes || recipe.kind == SynthesisKind::kAudio;
  const bool dialogues = std::ranges::any_of(recipe.rows, [](const auto& row) { return !row.earlier.empty(); });
  require(!dialogues || sequences || recipe.kind == SynthesisKind::kText, path.string(),
          ": dialogues can be made as codes, audio or text");
  require(!any(Utterance::kNoise) || sequences, path.string(), ": noise can be made as codes or audio");
  require(!any(Utterance::kRandomCodes) || recipe.kind == SynthesisKind::kCodes, path.string(),
          ": random codes are only codes: use \"synthesize: codes\"");
  require(!any(Utterance::kRandomCodes) || !recipe.with_features, path.string(),
          ": random codes are made of nothing: leave out \"features\" or their source");
  return recipe;
}

}  // namespace ichigo
