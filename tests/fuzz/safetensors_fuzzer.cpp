#include "weights.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("safetensors");
  return ichigo::fuzz::expect_error_or_success(
      [&] { ichigo::fuzz::read_all(*ichigo::open_safetensors(file.write(data, size))); });
}
