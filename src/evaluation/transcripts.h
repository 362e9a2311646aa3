// Recordings with known words: the word error rate of whoever writes them down, after Whisper's English normaliser
// (arXiv 2212.04356, appendix C) on both sides.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "evaluation/word_error_rate.h"

namespace ichigo {

struct TranscriptItem {
  std::filesystem::path path;
  std::string transcript;
};

// A TSV with the columns path (relative to the list's folder) and transcript; others are ignored. The first `limit`
// rows, or all when it is 0. Throws Error naming the line: an empty cell, a recording that does not exist, no rows.
std::vector<TranscriptItem> read_transcripts(const std::filesystem::path& list, size_t limit = 0);

// `transcribe` gives the words heard; `report`, if any, is told of every item.
WordErrors evaluate_transcripts(
    const std::vector<TranscriptItem>& items, const std::function<std::string(const TranscriptItem&)>& transcribe,
    const std::function<void(const TranscriptItem&, const std::string& heard, const WordErrors&)>& report = {});

}  // namespace ichigo
