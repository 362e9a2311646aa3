// What `ichigo synthesize RECIPE.yaml` is asked for: the recipe's settings and the rows that follow from them.
//
//   synthesize: codes | features | mel | audio | text (typed, nobody speaks)      output: PATH      seed: 1
//   tokenizer: PATH (codes)   whisper: PATH or base:NAME (codes, features)   cut_to_length, tail_frames (features)
//   features: true (codes): also what they are made of, as data/token_file describes
//   rows: how many rows are drawn from the sources that have a share
//   sources: a list of {questions: FOLDER, split: train | unseen, share: 0.6} (kind: arithmetic, say, for only those),
//     {sentences: FILE, split: train | unseen, share: 0.2}, {instructions: TSV, share: 0.2},
//     {recordings: TSV or FOLDER, copies: 2}; copies instead of share: each text so many times, beside "rows";
//     sentences also take join: N (up to N of them make one text, so that clips vary in length), recordings
//     path_contains: TEXT (only those); both statements: FOLDER (only those that ask nothing, answered by one of the
//     FOLDER's sentences that say so)
//     {dialogues: FOLDER, split: train | unseen, turns: 2, share: 0.9}: questions that follow one another
//     {inaudible: FOLDER, as: noise, share: 0.03}: half a second to six of the recipe's noise, and an answer that says
//     so; as: random_codes, lengths: TOKEN_FILE instead: codes drawn at random, as many as a row there has
//   voices: a list of {names: [VOICE, ...], weight: 1}; the weight is shared by the names
//   rate, pitch: {min: 0.9, max: 1.2}, relative to the voice's own
//   augmentation: AugmentationConfig's fields; without it nothing is changed      noise: TSV with the column path
//   noise_split: train | unseen: only these recordings of it (every fifth is unseen); without it all of them
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audio/augmentation.h"
#include "data/corpus.h"

namespace ichigo {

enum class SynthesisKind { kCodes, kFeatures, kMel, kAudio, kText };

struct SynthesisTurn {
  std::string text, answer;
  std::vector<std::string> accept;  // what marks an answer as right
};

enum class Utterance {
  kSpeech,       // a voice speaks the text
  kRecording,    // a person has spoken it
  kNoise,        // nobody says anything
  kRandomCodes,  // no sound at all, only codes
};

struct SynthesisRow : SynthesisTurn {
  std::string kind;  // "question", "dialogue", "instruction", "transcript", "statement" or "inaudible"
  Utterance utterance = Utterance::kSpeech;
  std::filesystem::path recording;     // kRecording
  int64_t codes = 0;                   // kRandomCodes: how many
  std::vector<SynthesisTurn> earlier;  // of the same dialogue, spoken by the same voice
};

struct WeightedVoice {
  std::string name;
  double weight = 1;
};

struct Range {
  double min = 1, max = 1;
};

struct SynthesisRecipe {
  SynthesisKind kind = SynthesisKind::kCodes;
  std::filesystem::path output;  // without ending (codes, features, mel) or a folder (audio)
  uint64_t seed = 1;
  std::vector<WeightedVoice> voices;
  Range rate, pitch;  // of VoiceSettings
  std::optional<AugmentationConfig> augmentation;
  std::filesystem::path noise;               // a TSV with the column path; empty: none
  std::optional<Split> noise_split;          // which of its recordings
  std::filesystem::path tokenizer, whisper;  // weights
  bool cut_to_length = true;                 // features: as SoundTokenizerConfig
  int64_t tail_frames = 0;                   // features: as SoundTokenizerConfig
  bool with_features = false;                // codes: and the features that they are made of
  std::vector<SynthesisRow> rows;            // in the order in which they are written

  // Whether a sound tokenizer hears what was spoken.
  bool hears() const { return kind == SynthesisKind::kCodes || kind == SynthesisKind::kFeatures; }
};

// Throws Error naming the place in the recipe or in a file that it names.
SynthesisRecipe read_synthesis_recipe(const std::filesystem::path& path);

}  // namespace ichigo
