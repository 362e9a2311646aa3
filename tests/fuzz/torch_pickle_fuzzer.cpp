#include "weights.h"
#include "weights/torch_pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("torch_pickle");
  return ichigo::fuzz::expect_error_or_success(
      [&] { ichigo::fuzz::read_all(*ichigo::open_torch_pickle(file.write(data, size))); });
}
