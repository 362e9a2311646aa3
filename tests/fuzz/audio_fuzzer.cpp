#include "audio/audio_file.h"
#include "fuzz.h"

// libvorbis loses some memory of broken files, and looking for whose it is takes a hundred times as long as reading.
extern "C" int __lsan_is_turned_off() {
  return 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("audio");
  constexpr size_t kFixed = 1 << 20;  // a frame of FLAC has up to 65,535 samples of each channel
  return ichigo::fuzz::read_input(size, kFixed,
                                  [&] { ichigo::read_audio_native(file.write(data, size), {.max_seconds = 0.5}); });
}
