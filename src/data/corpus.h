// Readers of lists: tab-separated files with named columns, plain lists of sentences, and collections of recordings
// with their transcripts. Not here: reading the audio itself (audio/audio_file).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ichigo {

// A tab-separated table with a header line. Lines that begin with '#' and empty lines are left out.
class TsvTable {
 public:
  TsvTable(std::filesystem::path path, std::vector<std::string> columns);

  size_t size() const { return rows_.size(); }
  bool has(const std::string& column) const;
  const std::vector<std::string>& columns() const { return columns_; }
  // Throws Error naming file and column when there is no such column.
  const std::string& at(size_t row, const std::string& column) const;
  // The row's line in the file, for messages: "data/x.tsv:17".
  std::string place(size_t row) const;
  const std::filesystem::path& path() const { return path_; }
  // `cells` may be fewer than the columns (the rest is empty), not more. Throws Error.
  void add(int64_t line, std::vector<std::string> cells);

 private:
  std::filesystem::path path_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<int64_t> lines_;
};

// Throws Error naming file and line: no header, a column named twice, too many cells, not UTF-8.
TsvTable read_tsv(const std::filesystem::path& path);

enum class Split { kTrain, kUnseen };
// "train" or "unseen"; throws Error beginning with `where`.
Split parse_split(const std::string& name, const std::string& where);

// One sentence a line. Every twentieth line (number modulo 20 = 7, counted from 1) is held out as unseen.
std::vector<std::string> read_sentences(const std::filesystem::path& path, Split split);

struct Recording {
  std::filesystem::path path;
  std::string transcript;
};

// A TSV with columns path and transcript (paths relative to the list's folder), or a folder with LibriSpeech's
// *.trans.txt ("ID words", ID.flac beside it) or Multilingual LibriSpeech's transcripts.txt ("ID<tab>words",
// audio/SPEAKER/BOOK/ID.flac below it). A transcript all in capitals is turned to sentence case.
// Throws Error: nothing found, a line without transcript, a recording that does not exist.
std::vector<Recording> read_recordings(const std::filesystem::path& path);

// "a|b" -> {"a", "b"}; empty parts are left out.
std::vector<std::string> split_alternatives(const std::string& text);

}  // namespace ichigo
