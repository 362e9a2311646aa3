#include "evaluation/transcripts.h"

#include "base/error.h"
#include "data/corpus.h"
#include "text/normalize.h"

namespace ichigo {

std::vector<TranscriptItem> read_transcripts(const std::filesystem::path& list, size_t limit) {
  const TsvTable table = read_tsv(list);
  std::vector<TranscriptItem> items;
  for (size_t row = 0; row < table.size() && (limit == 0 || row < limit); ++row) {
    for (const char* column : {"path", "transcript"}) {
      require(!table.at(row, column).empty(), table.place(row), ": the column \"", column, "\" is empty");
    }
    TranscriptItem item{list.parent_path() / table.at(row, "path"), table.at(row, "transcript")};
    require(std::filesystem::exists(item.path), table.place(row), ": there is no recording ", item.path.string());
    items.push_back(std::move(item));
  }
  require(!items.empty(), list.string(), " has no rows");
  return items;
}

WordErrors evaluate_transcripts(
    const std::vector<TranscriptItem>& items, const std::function<std::string(const TranscriptItem&)>& transcribe,
    const std::function<void(const TranscriptItem&, const std::string& heard, const WordErrors&)>& report) {
  WordErrors total;
  for (const auto& item : items) {
    std::string heard;
    try {
      heard = transcribe(item);
    } catch (const Error& error) {
      const std::string place = item.path.string();
      fail(std::string_view(error.what()).starts_with(place) ? "" : place + ": ", error.what());
    }
    const WordErrors errors = count_word_errors(normalize_english(item.transcript), normalize_english(heard));
    total += errors;
    if (report) report(item, heard, errors);
  }
  return total;
}

}  // namespace ichigo
