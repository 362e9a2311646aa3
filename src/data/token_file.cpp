#include "data/token_file.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/mapped_file.h"

namespace ichigo {

SpeechRow parse_token_line(std::string_view line) {
  const auto json = nlohmann::json::parse(line);
  SpeechRow row;
  row.index = json.at("index").get<int64_t>();
  row.text = json.at("text").get<std::string>();
  row.answer = json.at("answer").get<std::string>();
  row.kind = json.at("kind").get<std::string>();
  row.voice = json.at("voice").get<std::string>();
  row.seconds = json.at("seconds").get<double>();
  for (const auto code : json.at("sound").get<std::vector<int64_t>>()) {
    require(code >= 0 && code < 1 << 20, "the sound code ", code, " is out of range");
    row.sound.push_back(static_cast<int>(code));
  }
  return row;
}

std::vector<SpeechRow> read_token_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::vector<SpeechRow> rows;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    try {
      rows.push_back(parse_token_line(rest.substr(0, end)));
    } catch (const std::exception& error) {
      fail(path.string(), ":", rows.size() + 1, ": not a row of a token file: ", error.what());
    }
  }
  return rows;
}

std::string token_file_line(const SpeechRow& row) {
  nlohmann::ordered_json json;
  json["index"] = row.index;
  json["text"] = row.text;
  json["answer"] = row.answer;
  json["kind"] = row.kind;
  json["voice"] = row.voice;
  json["seconds"] = row.seconds;
  json["sound"] = row.sound;
  return json.dump() + "\n";
}

}  // namespace ichigo
