#include "weights/base_weights.h"

#include <cstdlib>

#include "base/error.h"

namespace ichigo {
namespace {

// An empty variable counts as unset.
const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

std::filesystem::path base_folder() {
  if (const char* home = environment("ICHIGO_HOME")) return std::filesystem::path(home) / "base";
  if (const char* cache = environment("XDG_CACHE_HOME")) return std::filesystem::path(cache) / "ichigo" / "base";
  const char* home = environment("HOME");
  require(home != nullptr, "neither ICHIGO_HOME nor HOME is set: set ICHIGO_HOME to a folder for downloaded weights");
  return std::filesystem::path(home) / ".cache" / "ichigo" / "base";
}

std::filesystem::path require_base(const std::string& name) {
  const auto folder = base_folder() / name;
  require(std::filesystem::is_directory(folder), "the base weights ", name, " are not in ", base_folder().string(),
          "; run: ichigo fetch base");
  return folder;
}

std::filesystem::path resolve_base(const std::filesystem::path& path) {
  constexpr std::string_view kPrefix = "base:";
  const std::string text = path.string();
  return text.starts_with(kPrefix) ? require_base(text.substr(kPrefix.size())) : path;
}

}  // namespace ichigo
