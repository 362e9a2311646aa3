#include "evaluation/json_lines.h"

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "text/json_text.h"
#include "text/trim.h"

namespace ichigo {

std::vector<std::pair<int64_t, nlohmann::json>> read_json_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  std::vector<std::pair<int64_t, nlohmann::json>> rows;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = trimmed(std::string_view(text).substr(begin, end - begin));
    ++line;
    if (!row.empty()) rows.emplace_back(line, parse_json_object(row, concat(path.string(), ":", line)));
    begin = end + 1;
  }
  require(!rows.empty(), path.string(), " has no rows");
  return rows;
}

}  // namespace ichigo
