// Word error rate: the least number of words to substitute, delete or insert, by Levenshtein's distance.
// It compares words as they are; normalise first (text/normalize.h).
#pragma once
#include <cstdint>
#include <string_view>

namespace ichigo {

struct WordErrors {
  int64_t substitutions = 0, deletions = 0, insertions = 0;
  int64_t words = 0;  // of the reference

  int64_t errors() const { return substitutions + deletions + insertions; }
  // Errors by words of the reference; 0 when there are neither, 1 when only errors.
  double rate() const;
  WordErrors& operator+=(const WordErrors& other);
};

// Words are what stands between spaces. Where several alignments are equally good the counts are those of jiwer.
// Time and memory (1 byte) grow with the product of both lengths.
WordErrors count_word_errors(std::string_view reference, std::string_view hypothesis);

}  // namespace ichigo
