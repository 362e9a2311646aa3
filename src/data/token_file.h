// Spoken texts as sound codes: what `ichigo synthesize` writes and the trainer reads. JSON lines, one row each:
// {"index":0,"text":"...","answer":"...","kind":"question","voice":"flite:awb","seconds":1.92,"sound":[3,3,471,...]}
// A row whose "sound" is empty is typed text. A row of a dialogue also has the turns before it:
// "earlier":[{"text":"...","answer":"...","sound":[...]},...]. Rows are in the order of their index.
//
// Beside it may lie what the codes were made of (the recipe's `features: true`), FILE.features: bfloat16 [width] for
// each code of each turn, in the order of the rows, the turns before a row's own first.
//
// Read as well, as the published data sets of Ichigo have them once they are JSON lines (homebrewltd/ichigo,
// synthetic_data): {"index":0,"tokens":[3,3,471]} and {"index":0,"conversations":[{"role":"user","content":
// "<|sound_start|><|sound_0003|>...<|sound_end|>"},{"role":"assistant","content":"..."},...]}; a user's content may be
// plain text, or text before sound. What was said is not known there.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ichigo {

struct SpeechTurn {
  std::string text;    // what is said, or typed
  std::string answer;  // what the assistant should say; empty: transcription only
  std::vector<int> sound;
  std::string prompt;  // typed directly before the sound (published data only)
  at::Tensor features = {};  // bfloat16 [codes, width], a view; undefined until read_row_features
};

struct SpeechRow : SpeechTurn {
  int64_t index = 0;
  std::string kind;  // "question" or "transcript"...
  std::string voice;
  double seconds = 0;
  std::vector<SpeechTurn> earlier;  // of the same conversation, in order
};

// Throws Error naming the line that is not a row. A last line cut off by a kill is ignored. A file that does not exist
// is read from its shards, which must all be there.
std::vector<SpeechRow> read_token_file(const std::filesystem::path& path);
// "rows.jsonl" -> "rows.features"
std::filesystem::path row_features_path(const std::filesystem::path& rows);
// Gives all rows of the token file `path` their features. Throws Error when there are none, or not those of these rows
// in this width.
void read_row_features(const std::filesystem::path& path, int64_t width, std::vector<SpeechRow>& rows);
// "rows" or "rows.jsonl", 2, 4 -> "rows-00002-of-00004" or "rows-00002-of-00004.jsonl"
std::filesystem::path shard_path(const std::filesystem::path& path, int64_t shard, int64_t shards);
std::string token_file_line(const SpeechRow& row);  // with its newline
// One line back. Throws an exception (not always Error) on a line that is not a row.
SpeechRow parse_token_line(std::string_view line);

}  // namespace ichigo
