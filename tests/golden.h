// Where the golden vectors lie: answers of the original Python implementations.
// Looked for under $ICHIGO_GOLDEN, then ../shared/golden beside the checkout, then tests/golden (the small ones).
#pragma once
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ichigo::test {

inline std::vector<std::filesystem::path> golden_folders() {
  std::vector<std::filesystem::path> folders;
  if (const char* folder = std::getenv("ICHIGO_GOLDEN")) folders.emplace_back(folder);
  const std::filesystem::path source = ICHIGO_SOURCE_DIR;
  folders.push_back(source / "../shared/golden");
  folders.push_back(source / "tests/golden");
  return folders;
}

inline std::optional<std::filesystem::path> golden(const std::string& relative) {
  for (const auto& folder : golden_folders()) {
    if (std::filesystem::exists(folder / relative)) return folder / relative;
  }
  return std::nullopt;
}

// The files PREFIX*ENDING of a case's folder, without prefix and ending, sorted; from the first place that has any.
inline std::vector<std::string> golden_names(const std::string& relative, const std::string& ending,
                                             const std::string& prefix = "") {
  std::vector<std::string> names;
  for (const auto& folder : golden_folders()) {
    if (!std::filesystem::is_directory(folder / relative)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder / relative)) {
      const std::string name = entry.path().filename();
      if (entry.is_regular_file() && name.size() > prefix.size() + ending.size() && name.starts_with(prefix) &&
          name.ends_with(ending)) {
        names.push_back(name.substr(prefix.size(), name.size() - prefix.size() - ending.size()));
      }
    }
    if (!names.empty()) break;
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A test's name may have letters, digits and underscores only.
inline std::string test_name(std::string name) {
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

}  // namespace ichigo::test

// Ends the test as skipped when the golden file is nowhere to be found.
#define ICHIGO_GOLDEN_OR_SKIP(variable, relative)                                            \
  const auto variable##_found = ichigo::test::golden(relative);                              \
  if (!variable##_found) GTEST_SKIP() << "no golden vectors here: " << (relative);           \
  const std::filesystem::path& variable = *variable##_found
