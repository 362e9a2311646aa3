// Files with a JSON object on each line, as benchmarks come.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace ichigo {

// The objects with the numbers of their lines (from 1); empty lines are left out. Throws Error that names file and
// line; also when there are no rows.
std::vector<std::pair<int64_t, nlohmann::json>> read_json_lines(const std::filesystem::path& path);

}  // namespace ichigo
