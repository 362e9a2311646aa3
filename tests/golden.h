// Where the golden vectors lie: answers of the original Python implementations.
// Looked for under $ICHIGO_GOLDEN, then ../shared/golden beside the checkout, then tests/golden (the small ones).
#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ichigo::test {

inline std::optional<std::filesystem::path> golden(const std::string& relative) {
  std::vector<std::filesystem::path> folders;
  if (const char* folder = std::getenv("ICHIGO_GOLDEN")) folders.emplace_back(folder);
  const std::filesystem::path source = ICHIGO_SOURCE_DIR;
  folders.push_back(source / "../shared/golden");
  folders.push_back(source / "tests/golden");
  for (const auto& folder : folders) {
    if (std::filesystem::exists(folder / relative)) return folder / relative;
  }
  return std::nullopt;
}

}  // namespace ichigo::test

// Ends the test as skipped when the golden file is nowhere to be found.
#define ICHIGO_GOLDEN_OR_SKIP(variable, relative)                                            \
  const auto variable##_found = ichigo::test::golden(relative);                              \
  if (!variable##_found) GTEST_SKIP() << "no golden vectors here: " << (relative);           \
  const std::filesystem::path& variable = *variable##_found
