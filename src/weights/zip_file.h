// The directory of a zip file whose entries are stored, not compressed: what PyTorch writes. Zip64 included.
#pragma once
#include <map>
#include <span>
#include <string>

#include "base/mapped_file.h"

namespace ichigo {

struct ZipEntry {
  uint64_t offset = 0, size = 0;  // of the entry's data within the file
};

// Name -> place. Throws Error when the file is no zip file, is cut off, or has a compressed or encrypted entry.
std::map<std::string, ZipEntry> read_zip_directory(const MappedFile& file);

}  // namespace ichigo
