// Where the base weights lie that training, the cascade and some tests need (`ichigo fetch base` brings them).
#pragma once
#include <filesystem>
#include <string>

namespace ichigo {

// $ICHIGO_HOME/base, else ${XDG_CACHE_HOME:-~/.cache}/ichigo/base.
std::filesystem::path base_folder();
// The folder of one of them: "whisper-tiny.en", "smollm2-135m-instruct". Throws Error that says how to fetch it.
std::filesystem::path require_base(const std::string& name);
// A path as recipes and options spell it: "base:NAME" is require_base(NAME), anything else the path itself.
std::filesystem::path resolve_base(const std::filesystem::path& path);

}  // namespace ichigo
