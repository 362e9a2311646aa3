// Lists of spoken questions with reference answers: for SpeechBench (speech_bench.h) and the modality gap.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace ichigo {

struct SpokenItem {
  std::filesystem::path path;           // the recording; empty: not given
  std::string text;                     // the question's words; empty: not given
  std::vector<std::string> references;  // answers, any of which is right
  std::string place;                    // "list.tsv:12", for messages
};

enum class Needs { kSpeech, kText, kBoth };

// A TSV with the columns path, text and reference (or answer: alternatives split by |), or JSON lines as AudioBench's
// sets are exported: "audio" or "context" (a path, or {"path": …}), "speech_instruction" or "audio_text_instruction",
// "answer" or "reference". Paths are relative to the list's folder. The first `limit` rows, or all when it is 0. Throws
// Error naming the line: what is needed is missing, a recording that does not exist, no rows.
std::vector<SpokenItem> read_spoken_items(const std::filesystem::path& list, Needs needs, size_t limit = 0);

}  // namespace ichigo
