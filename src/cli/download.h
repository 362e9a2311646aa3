// Files from the network: resumable, checked, with a progress bar. http, https and file URLs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace ichigo {

// SHA-256 of a file as 64 lower-case hexadecimal digits.
std::string file_sha256(const std::filesystem::path& path);

// The text behind a URL (at most 64 MB). Throws Error with the reason.
std::string download_text(const std::string& url, const std::string& accept);

// Brings URL to PATH by way of PATH.part, where a broken download continues. Throws Error, and keeps nothing, when
// size or checksum differ; keeps PATH.part when the connection broke or the user interrupted.
void download_file(const std::string& url, const std::filesystem::path& path, int64_t size, const std::string& sha256,
                   const std::string& label);

// `reference` as a link on the page `base` means it.
std::string resolve_url(const std::string& base, const std::string& reference);
// The URL without a user's name and password, for messages.
std::string printable_url(const std::string& url);

}  // namespace ichigo
