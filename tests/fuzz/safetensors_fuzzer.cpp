#include "weights.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("safetensors");
  constexpr size_t kFixed = 1 << 20;  // json_text.h lets JSON take this much of any text
  return ichigo::fuzz::read_input(size, kFixed,
                                  [&] { ichigo::fuzz::read_all(*ichigo::open_safetensors(file.write(data, size))); });
}
