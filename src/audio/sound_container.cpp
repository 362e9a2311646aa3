#include "audio/sound_container.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"

namespace ichigo {
namespace {

std::string bytes_at(int descriptor, int64_t offset, int64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  bytes.resize(static_cast<size_t>(read_at(descriptor, offset, bytes.data(), size)));
  return bytes;
}

uint32_t number(const std::string& bytes, size_t at, bool big_endian) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + (big_endian ? i : 3 - i)]);
  }
  return value;
}

// RIFF and AIFF: the data chunk must lie within the file. Programs that write to a pipe leave sizes of about 2 or
// 4 GiB for "unknown": then all that is there counts.
void check_chunks(int descriptor, int64_t from, int64_t size, bool big_endian, const std::string& name) {
  constexpr uint32_t kUnknown = 0x7FFFF000;
  int64_t offset = from + 12;
  while (offset + 8 <= size) {
    const std::string head = bytes_at(descriptor, offset, 8);
    if (head.size() < 8) return;
    const uint32_t length = number(head, 4, big_endian);
    const std::string id = head.substr(0, 4);
    if (id == "data" || id == "SSND") {
      const int64_t there = size - offset - 8;
      require(length >= kUnknown || length <= there, name, " is truncated: its header promises ", length,
              " bytes of sound, the file holds ", there);
      return;
    }
    offset += 8 + int64_t{length} + (length & 1);
  }
}

// Ogg: the last page must be whole and carry the end-of-stream flag.
void check_last_page(int descriptor, int64_t size, const std::string& name) {
  constexpr int64_t kLargestPage = 65307;
  const int64_t start = std::max<int64_t>(0, size - kLargestPage);
  const std::string tail = bytes_at(descriptor, start, size - start);
  const size_t page = tail.rfind("OggS");
  bool whole = page != std::string::npos && page + 27 <= tail.size() && (tail[page + 5] & 4) != 0;
  if (whole) {
    const size_t segments = static_cast<unsigned char>(tail[page + 26]);
    size_t end = page + 27 + segments;
    whole = end <= tail.size();
    for (size_t i = 0; whole && i < segments; ++i) end += static_cast<unsigned char>(tail[page + 27 + i]);
    whole = whole && end <= tail.size();
  }
  require(whole, name, " is truncated: its last Ogg page is missing");
}

int64_t behind_id3_tags(int descriptor) {
  int64_t offset = 0;
  for (;;) {
    const std::string head = bytes_at(descriptor, offset, 10);
    if (head.size() < 10 || !head.starts_with("ID3")) return offset;
    int64_t length = 0;
    for (size_t i = 6; i < 10; ++i) length = length << 7 | (static_cast<unsigned char>(head[i]) & 127);
    offset += 10 + length;
  }
}

// The stream's description, marked as the last block of metadata, and the frames. Of the other blocks libFLAC takes as
// much memory as they promise, up to three times 16 MiB, and behind a damaged one it reads sound as metadata.
SoundParts flac_parts(int descriptor, int64_t from, int64_t size, const std::string& name) {
  constexpr int64_t kStreamInfo = 34;  // bytes
  SoundParts parts{.head = "", .from = from + 4};
  for (bool last = false; !last;) {
    const std::string head = bytes_at(descriptor, parts.from, 4);
    require(head.size() == 4, name, " is truncated or damaged: it ends at byte ", size, ", within its FLAC metadata");
    const int64_t length = number(head, 0, true) & 0xFFFFFF, there = size - parts.from - 4;
    require(length <= there, name, " is truncated or damaged: its FLAC metadata at byte ", parts.from, " promises ",
            length, " bytes, the file holds ", there);
    if (parts.head.empty()) {
      require((head[0] & 127) == 0 && length == kStreamInfo, name, " is damaged: its FLAC metadata at byte ",
              parts.from, " is not the stream's description of ", kStreamInfo, " bytes, which comes first");
      parts.head = "fLaC\x80" + head.substr(1) + bytes_at(descriptor, parts.from + 4, kStreamInfo);
    }
    last = (head[0] & 128) != 0;
    parts.from += 4 + length;
  }
  return parts;
}

}  // namespace

int64_t read_at(int descriptor, int64_t offset, char* to, int64_t count) {
  return std::max<int64_t>(0, ::pread(descriptor, to, static_cast<size_t>(count), offset));
}

SoundParts sound_parts(int descriptor, int64_t size, const std::string& name) {
  const int64_t from = behind_id3_tags(descriptor);
  const std::string start = bytes_at(descriptor, from, 8192);  // libsndfile looks for the first page in 4 KiB
  if (start.starts_with("fLaC")) return flac_parts(descriptor, from, size, name);
  require(!start.starts_with("OggS") || start.find("fLaC") == std::string::npos, name,
          " is FLAC in an Ogg container, which cannot be read; convert it first, for example: ffmpeg -i ", name,
          " sound.flac");
  return {.head = "", .from = from};
}

void check_complete(int descriptor, int64_t from, int64_t size, const std::string& name) {
  const std::string magic = bytes_at(descriptor, from, 4);
  if (magic == "RIFF" || magic == "RIFX" || magic == "FORM") {
    check_chunks(descriptor, from, size, magic != "RIFF", name);
  }
  if (magic == "OggS") check_last_page(descriptor, size, name);
}

}  // namespace ichigo
