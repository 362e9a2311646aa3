#include "data/token_file.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/sound_vocabulary.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<int> parse_codes(const json& list) {
  std::vector<int> codes;
  for (const auto code : list.get<std::vector<int64_t>>()) {
    require(code >= 0 && code < 1 << 20, "the sound code ", code, " is out of range");
    codes.push_back(static_cast<int>(code));
  }
  return codes;
}

SpeechTurn parse_turn(const json& turn) {
  return {turn.at("text").get<std::string>(), turn.at("answer").get<std::string>(), parse_codes(turn.at("sound")), {}};
}

// A user's message of the published layout.
SpeechTurn parse_message(const std::string& content) {
  const size_t sound = content.find("<|sound_start|>");
  if (sound == std::string::npos) return {content, {}, {}, {}};
  return {{}, {}, parse_sound_string(std::string_view(content).substr(sound)), content.substr(0, sound)};
}

SpeechRow parse_conversation(const json& messages) {
  SpeechRow row;
  row.kind = "conversation";
  require(messages.is_array() && !messages.empty() && messages.size() % 2 == 0,
          "\"conversations\" must be messages of user and assistant in turn");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string role = messages[i].at("role"), wanted = i % 2 == 0 ? "user" : "assistant";
    require(role == wanted, "message ", i, " is by \"", role, "\", expected \"", wanted, "\"");
    if (i % 2 == 0) {
      if (i > 0) row.earlier.push_back(static_cast<const SpeechTurn&>(row));
      static_cast<SpeechTurn&>(row) = parse_message(messages[i].at("content"));
    } else {
      row.answer = messages[i].at("content");
    }
  }
  return row;
}

SpeechRow parse_row(const json& line) {
  if (line.contains("conversations")) return parse_conversation(line.at("conversations"));
  SpeechRow row;
  if (line.contains("tokens")) {
    row.sound = parse_codes(line.at("tokens"));
    row.kind = "sound";
    return row;
  }
  static_cast<SpeechTurn&>(row) = parse_turn(line);
  row.kind = line.at("kind").get<std::string>();
  row.voice = line.at("voice").get<std::string>();
  row.seconds = line.at("seconds").get<double>();
  if (line.contains("earlier")) {
    for (const auto& turn : line.at("earlier")) row.earlier.push_back(parse_turn(turn));
  }
  return row;
}

// Into how many shards a file is divided, by their names; 0: there are none. Throws Error for those of two divisions.
int64_t count_shards(const fs::path& path) {
  const std::string start = path.stem().string() + "-";
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder)) return 0;
  int64_t found = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    long long shard = 0, shards = 0;
    if (name.starts_with(start) && std::sscanf(name.c_str() + start.size(), "%5lld-of-%5lld", &shard, &shards) == 2 &&
        name == shard_path(path.filename(), shard, shards)) {
      require(found == 0 || found == shards, path.string(), " is there in shards of two divisions, into ",
              std::min<int64_t>(found, shards), " and into ", std::max<int64_t>(found, shards),
              ": remove those that are no longer wanted");
      found = shards;
    }
  }
  return found;
}

nlohmann::ordered_json turn_json(const SpeechTurn& turn) {
  nlohmann::ordered_json json;
  json["text"] = turn.text;
  json["answer"] = turn.answer;
  json["sound"] = turn.sound;
  return json;
}

}  // namespace

SpeechRow parse_token_line(std::string_view line) {
  const auto parsed = json::parse(line);
  SpeechRow row = parse_row(parsed);
  row.index = parsed.at("index").get<int64_t>();
  return row;
}

fs::path shard_path(const fs::path& path, int64_t shard, int64_t shards) {
  char ending[32];
  std::snprintf(ending, sizeof ending, "-%05lld-of-%05lld", static_cast<long long>(shard),
                static_cast<long long>(shards));
  const bool list = path.extension() == ".jsonl";
  return (list ? fs::path(path).replace_extension() : path).string() + ending + (list ? ".jsonl" : "");
}

std::vector<SpeechRow> read_token_file(const fs::path& path) {
  if (const auto shards = fs::exists(path) ? 0 : count_shards(path); shards > 0) {
    std::vector<SpeechRow> rows;
    for (int64_t shard = 0; shard < shards; ++shard) {
      const auto part = shard_path(path, shard, shards);
      require(fs::exists(part), "there is neither ", path.string(), " nor its shard ", part.string());
      std::ranges::move(read_token_file(part), std::back_inserter(rows));
    }
    return rows;
  }
  const MappedFile file(path);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::vector<SpeechRow> rows;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    try {
      rows.push_back(parse_token_line(rest.substr(0, end)));
    } catch (const std::exception& error) {
      fail(path.string(), ":", rows.size() + 1, ": not a row of a token file (", error.what(), ")");
    }
  }
  return rows;
}

fs::path row_features_path(const fs::path& rows) {
  return fs::path(rows).replace_extension(".features");
}

void read_row_features(const fs::path& path, int64_t width, std::vector<SpeechRow>& rows) {
  const fs::path place = row_features_path(path);
  require(fs::exists(place), "there is no ", place.string(), ", the features of the speech in ", path.string(),
          ": make both anew, with \"features: true\" in the recipe of the rows");
  const auto data = std::make_shared<MappedFile>(place);
  const auto values = static_cast<int64_t>(data->bytes().size() / sizeof(at::BFloat16));
  int64_t frames = 0;
  const auto give = [&](SpeechTurn& turn) {
    const auto count = static_cast<int64_t>(turn.sound.size());
    if ((frames + count) * width <= values) {
      const auto* begin = reinterpret_cast<const at::BFloat16*>(data->bytes().data()) + frames * width;
      turn.features = at::from_blob(
          const_cast<at::BFloat16*>(begin), {count, width}, [data](void*) {}, at::TensorOptions(at::kBFloat16));
    }
    frames += count;
  };
  for (SpeechRow& row : rows) {
    for (SpeechTurn& turn : row.earlier) give(turn);
    give(row);
  }
  require(frames * width == values, place.string(), " has ", values, " values, but the ", frames, " codes of ",
          path.string(), " in a width of ", width, " are ", frames * width, ": the two do not belong together");
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
  for (const auto& turn : row.earlier) json["earlier"].push_back(turn_json(turn));
  return json.dump() + "\n";
}

}  // namespace ichigo
