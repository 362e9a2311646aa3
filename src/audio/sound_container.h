// What a sound file is checked for before libsndfile sees it: libsndfile forgives a file that ends early, and libFLAC
// takes memory for what damaged metadata promises.
#pragma once
#include <cstdint>
#include <string>

namespace ichigo {

// What is decoded of a file: `head`, then the file from byte `from` on.
struct SoundParts {
  std::string head;
  int64_t from = 0;
};

// The parts of the open file `descriptor` of `size` bytes that say how it sounds: without the ID3 tags before it and,
// where it is FLAC, without the metadata that decoding does not need. Throws Error, with the name, where the metadata
// is damaged, and for FLAC in an Ogg container, which libsndfile takes for FLAC without one.
SoundParts sound_parts(int descriptor, int64_t size, const std::string& name);

// Throws Error where a RIFF, AIFF or Ogg file that begins at byte `from` ends before its container says.
void check_complete(int descriptor, int64_t from, int64_t size, const std::string& name);

// Up to `count` bytes at `offset`; fewer at the end of the file.
int64_t read_at(int descriptor, int64_t offset, char* to, int64_t count);

}  // namespace ichigo
