#include "audio/audio_file.h"
#include "fuzz.h"

// libvorbis loses some memory of broken files, and looking for whose it is takes a hundred times as long as reading.
extern "C" int __lsan_is_turned_off() {
  return 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("audio");
  return ichigo::fuzz::expect_error_or_success(
      [&] { ichigo::read_audio_native(file.write(data, size), {.max_seconds = 0.5}); });
}
