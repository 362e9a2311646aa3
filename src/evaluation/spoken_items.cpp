#include "evaluation/spoken_items.h"

#include "base/error.h"
#include "data/corpus.h"
#include "evaluation/json_lines.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The first of these keys that the row has, as text; {"path": …} stands for its path.
std::string first_of(const json& row, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!row.contains(key)) continue;
    const json& value = row[key].is_object() && row[key].contains("path") ? row[key]["path"] : row[key];
    if (value.is_string()) return value.get<std::string>();
  }
  return "";
}

std::vector<SpokenItem> from_json_lines(const fs::path& list) {
  std::vector<SpokenItem> items;
  for (const auto& [line, row] : read_json_lines(list)) {
    SpokenItem item{.path = first_of(row, {"audio", "context", "path"}),
                    .text = first_of(row, {"speech_instruction", "audio_text_instruction", "text"}),
                    .references = {first_of(row, {"answer", "reference"})},
                    .place = concat(list.string(), ":", line)};
    if (item.references[0].empty()) item.references.clear();
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<SpokenItem> from_tsv(const fs::path& list) {
  const TsvTable table = read_tsv(list);
  std::vector<SpokenItem> items;
  for (size_t row = 0; row < table.size(); ++row) {
    SpokenItem item{.place = table.place(row)};
    if (table.has("path")) item.path = table.at(row, "path");
    if (table.has("text")) item.text = table.at(row, "text");
    if (!table.has("reference")) {
      item.references = split_alternatives(table.at(row, "answer"));
    } else if (!table.at(row, "reference").empty()) {
      item.references = {table.at(row, "reference")};
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

std::vector<SpokenItem> read_spoken_items(const fs::path& list, Needs needs, size_t limit) {
  auto items = list.extension() == ".tsv" ? from_tsv(list) : from_json_lines(list);
  require(!items.empty(), list.string(), " has no rows");
  if (limit > 0 && items.size() > limit) items.resize(limit);
  for (auto& item : items) {
    require(!item.references.empty(), item.place, ": there is no reference answer");
    require(needs == Needs::kSpeech || !item.text.empty(), item.place, ": there is no text of the question");
    if (!item.path.empty()) item.path = list.parent_path() / item.path;
    if (needs == Needs::kText) continue;
    require(!item.path.empty(), item.place, ": there is no recording named");
    require(fs::exists(item.path), item.place, ": there is no recording ", item.path.string());
  }
  return items;
}

}  // namespace ichigo
