#include "data/corpus.h"

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Calls visit(line number from 1, line) for every line of a UTF-8 text file, without carriage returns.
template <typename Visit>
void for_each_line(const fs::path& path, Visit visit) {
  const std::string text = read_file(path);
  std::string_view rest = text;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    require(valid_utf8_prefix(line) == line.size(), path.string(), ":", number, ": not UTF-8 text");
    visit(number, line);
  }
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

std::string sentence_case(std::string text) {
  if (std::ranges::any_of(text, is_lower) || std::ranges::count_if(text, is_upper) < 2) return text;
  const auto first = std::ranges::find_if(text, is_upper);
  std::for_each(first + 1, text.end(), [](char& c) {
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  });
  return text;
}

fs::path beside(const fs::path& folder, const std::string& name, const std::string& place) {
  for (const char* ending : {".flac", ".wav", ".ogg", ".opus", ".mp3"}) {
    if (fs::exists(folder / (name + ending))) return folder / (name + ending);
  }
  fail(place, ": there is no recording ", (folder / name).string(), ".flac");
}

void read_librispeech(const fs::path& list, std::vector<Recording>& recordings) {
  for_each_line(list, [&](int64_t number, std::string_view line) {
    if (line.empty()) return;
    const std::string place = concat(list.string(), ":", number);
    const size_t space = line.find(' ');
    require(space != std::string_view::npos && space + 1 < line.size(), place, ": expected \"ID words\"");
    recordings.push_back({beside(list.parent_path(), std::string(line.substr(0, space)), place),
                          sentence_case(std::string(line.substr(space + 1)))});
  });
}

void read_multilingual_librispeech(const fs::path& list, std::vector<Recording>& recordings) {
  for_each_line(list, [&](int64_t number, std::string_view line) {
    if (line.empty()) return;
    const std::string place = concat(list.string(), ":", number);
    const auto cells = split(line, '\t');
    require(cells.size() == 2 && !cells[1].empty(), place, ": expected \"ID<tab>words\"");
    const auto parts = split(cells[0], '_');
    require(parts.size() == 3, place, ": expected an ID of the form SPEAKER_BOOK_NUMBER, not \"", cells[0], "\"");
    recordings.push_back(
        {beside(list.parent_path() / "audio" / parts[0] / parts[1], cells[0], place), sentence_case(cells[1])});
  });
}

}  // namespace

TsvTable::TsvTable(fs::path path, std::vector<std::string> columns)
    : path_(std::move(path)), columns_(std::move(columns)) {
  for (auto column = columns_.begin(); column != columns_.end(); ++column) {
    require(std::find(columns_.begin(), column, *column) == column, path_.string(), ": the column \"", *column,
            "\" is named twice");
  }
}

bool TsvTable::has(const std::string& column) const {
  return std::ranges::find(columns_, column) != columns_.end();
}

const std::string& TsvTable::at(size_t row, const std::string& column) const {
  const auto found = std::ranges::find(columns_, column);
  if (found == columns_.end()) {
    std::string list;
    for (const auto& name : columns_) list += (list.empty() ? "" : ", ") + name;
    fail(path_.string(), " has no column \"", column, "\"; its header names: ", list);
  }
  return rows_.at(row)[static_cast<size_t>(found - columns_.begin())];
}

std::string TsvTable::place(size_t row) const {
  return concat(path_.string(), ":", lines_.at(row));
}

void TsvTable::add(int64_t line, std::vector<std::string> cells) {
  require(cells.size() <= columns_.size(), path_.string(), ":", line, ": ", cells.size(),
          " cells, but the header names ", columns_.size(), " columns");
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
  lines_.push_back(line);
}

TsvTable read_tsv(const fs::path& path) {
  std::vector<TsvTable> table;
  for_each_line(path, [&](int64_t number, std::string_view line) {
    if (line.empty() || line.starts_with('#')) return;
    if (table.empty()) {
      table.emplace_back(path, split(line, '\t'));
    } else {
      table.front().add(number, split(line, '\t'));
    }
  });
  require(!table.empty(), path.string(), " is empty; expected a header line with the names of the columns");
  return std::move(table.front());
}

Split parse_split(const std::string& name, const std::string& where) {
  if (name == "train") return Split::kTrain;
  require(name == "unseen", where, ": the split must be \"train\" or \"unseen\", not \"", name, "\"");
  return Split::kUnseen;
}

std::vector<std::string> read_sentences(const fs::path& path, Split split) {
  std::vector<std::string> sentences;
  for_each_line(path, [&](int64_t number, std::string_view line) {
    if (!line.empty() && (number % 20 == 7) == (split == Split::kUnseen)) sentences.emplace_back(line);
  });
  require(!sentences.empty(), path.string(), " has no sentences");
  return sentences;
}

std::vector<Recording> read_recordings(const fs::path& path) {
  std::vector<Recording> recordings;
  if (!fs::is_directory(path)) {
    const TsvTable table = read_tsv(path);
    for (size_t row = 0; row < table.size(); ++row) {
      Recording recording{path.parent_path() / table.at(row, "path"), sentence_case(table.at(row, "transcript"))};
      require(!recording.transcript.empty(), table.place(row), ": the transcript is empty");
      require(fs::is_regular_file(recording.path), table.place(row), ": there is no recording ",
              recording.path.string());
      recordings.push_back(std::move(recording));
    }
  } else {
    std::vector<fs::path> lists;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".trans.txt") || name == "transcripts.txt") lists.push_back(entry.path());
    }
    std::ranges::sort(lists);
    for (const auto& list : lists) {
      (list.filename() == "transcripts.txt" ? read_multilingual_librispeech : read_librispeech)(list, recordings);
    }
  }
  require(!recordings.empty(), path.string(),
          " holds no recordings; expected a TSV list with columns path and transcript, or a folder with *.trans.txt or "
          "transcripts.txt");
  return recordings;
}

std::vector<std::string> split_alternatives(const std::string& text) {
  auto parts = split(text, '|');
  std::erase(parts, "");
  return parts;
}

}  // namespace ichigo
