// Source of the layout: PKWARE's APPNOTE, sections 4.3 and 4.5.3.
#include "weights/zip_file.h"

#include "weights/byte_reader.h"

namespace ichigo {
namespace {

constexpr uint32_t kLocal = 0x04034B50, kCentral = 0x02014B50, kEnd = 0x06054B50, kEnd64 = 0x06064B50,
                   kEnd64Locator = 0x07064B50, kFull = 0xFFFFFFFF;
constexpr size_t kEndSize = 22, kLocatorSize = 20;

struct Directory {
  uint64_t count = 0, offset = 0;
};

Directory find_directory(const MappedFile& file) {
  const auto bytes = file.bytes();
  const std::string name = file.path().string();
  ByteReader reader(bytes, name);
  // The end record is the last, but for a comment of at most 65535 bytes.
  for (size_t back = kEndSize; back <= bytes.size() && back <= kEndSize + 0xFFFF; ++back) {
    reader.seek(bytes.size() - back);
    if (reader.number<uint32_t>("the end record") != kEnd) continue;
    reader.take(6, "the end record");
    Directory directory{reader.number<uint16_t>("the end record"), 0};
    reader.take(4, "the end record");
    directory.offset = reader.number<uint32_t>("the end record");
    if (directory.count != 0xFFFF && directory.offset != kFull) return directory;
    if (back + kLocatorSize > bytes.size()) break;
    reader.seek(bytes.size() - back - kLocatorSize);
    if (reader.number<uint32_t>("the zip64 locator") != kEnd64Locator) return directory;
    reader.take(4, "the zip64 locator");
    reader.seek(reader.number<uint64_t>("the zip64 locator"));
    if (reader.number<uint32_t>("the zip64 end record") != kEnd64) reader.error("no zip64 end record here");
    reader.take(28, "the zip64 end record");
    directory.count = reader.number<uint64_t>("the zip64 end record");
    reader.take(8, "the zip64 end record");
    directory.offset = reader.number<uint64_t>("the zip64 end record");
    return directory;
  }
  fail(name, " is not a whole zip file: it has no end record; is it cut off?");
}

// Replaces what does not fit 32 bits by the values of the zip64 extra field, in their order.
void read_zip64(std::string_view extra, const std::string& name, uint64_t size_and_offset[3]) {
  ByteReader reader(std::as_bytes(std::span(extra)), name + ", an extra field");
  while (reader.remaining() >= 4) {
    const auto id = reader.number<uint16_t>("an extra field");
    const auto size = reader.number<uint16_t>("an extra field");
    if (id != 1) {
      reader.take(size, "an extra field");
      continue;
    }
    for (int i = 0; i < 3; ++i) {
      if (size_and_offset[i] == kFull) size_and_offset[i] = reader.number<uint64_t>("a zip64 field");
    }
    return;
  }
}

}  // namespace

std::map<std::string, ZipEntry> read_zip_directory(const MappedFile& file) {
  const std::string path = file.path().string();
  const Directory directory = find_directory(file);
  ByteReader reader(file.bytes(), path);
  reader.seek(directory.offset);
  std::map<std::string, ZipEntry> entries;
  for (uint64_t i = 0; i < directory.count; ++i) {
    constexpr std::string_view kWhat = "the zip directory";
    if (reader.number<uint32_t>(kWhat) != kCentral) reader.error("no entry of the zip directory here");
    reader.take(4, kWhat);
    const auto flags = reader.number<uint16_t>(kWhat);
    const auto method = reader.number<uint16_t>(kWhat);
    reader.take(8, kWhat);
    uint64_t fields[3] = {};  // uncompressed size, compressed size, offset of the local header
    fields[1] = reader.number<uint32_t>(kWhat);
    fields[0] = reader.number<uint32_t>(kWhat);
    const auto name_size = reader.number<uint16_t>(kWhat);
    const auto extra_size = reader.number<uint16_t>(kWhat);
    const auto comment_size = reader.number<uint16_t>(kWhat);
    reader.take(8, kWhat);
    fields[2] = reader.number<uint32_t>(kWhat);
    const std::string name(reader.text(name_size, kWhat));
    read_zip64(reader.text(extra_size, kWhat), path, fields);
    reader.take(comment_size, kWhat);
    require(method == 0 && (flags & 1) == 0 && fields[0] == fields[1], path, ": the entry \"", name,
            "\" is compressed or encrypted; PyTorch stores entries plainly");

    ByteReader local(file.bytes(), path);
    local.seek(fields[2]);
    if (local.number<uint32_t>("a local header") != kLocal) local.error("no entry \"", name, "\" here");
    local.take(22, "a local header");
    const auto local_name = local.number<uint16_t>("a local header");
    const auto local_extra = local.number<uint16_t>("a local header");
    local.take(uint64_t{local_name} + local_extra, "a local header");
    const ZipEntry entry{local.position(), fields[0]};
    local.take(entry.size, "the entry \"" + name + "\"");
    require(entries.emplace(name, entry).second, path, ": the entry \"", name, "\" occurs twice");
  }
  return entries;
}

}  // namespace ichigo
