// Spoken texts as sound codes: what `ichigo synthesize` writes and the trainer reads. JSON lines, one row each:
// {"index":0,"text":"...","answer":"...","kind":"question","voice":"flite:awb","seconds":1.92,"sound":[3,3,471,...]}
// A row whose "sound" is empty is typed text. Rows are in the order of their index.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ichigo {

struct SpeechRow {
  int64_t index = 0;
  std::string text;    // what is said
  std::string answer;  // what the assistant should say; empty: transcription only
  std::string kind;    // "question" or "transcript"...
  std::string voice;
  double seconds = 0;
  std::vector<int> sound;
};

// Throws Error naming the line that is not a row. A last line cut off by a kill is ignored.
std::vector<SpeechRow> read_token_file(const std::filesystem::path& path);
std::string token_file_line(const SpeechRow& row);  // with its newline
// One line back. Throws an exception (not always Error) on a line that is not a row.
SpeechRow parse_token_line(std::string_view line);

}  // namespace ichigo
