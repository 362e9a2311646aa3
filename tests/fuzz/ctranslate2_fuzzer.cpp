#include "weights.h"
#include "weights/ctranslate2.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("ctranslate2");
  return ichigo::fuzz::read_input(size, 64 << 10,
                                  [&] { ichigo::fuzz::read_all(*ichigo::open_ctranslate2(file.write(data, size))); });
}
