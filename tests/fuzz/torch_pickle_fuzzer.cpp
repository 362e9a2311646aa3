#include "weights.h"
#include "weights/torch_pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("torch_pickle");
  constexpr size_t kFixed = 1 << 20;  // the stack, however short what fills it
  return ichigo::fuzz::read_input(size, kFixed,
                                  [&] { ichigo::fuzz::read_all(*ichigo::open_torch_pickle(file.write(data, size))); });
}
