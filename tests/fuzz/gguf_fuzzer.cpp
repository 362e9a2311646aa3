#include <nlohmann/json.hpp>

#include "text/byte_pair.h"
#include "weights.h"
#include "weights/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile input("gguf");
  constexpr size_t kFixed = 2 << 20;  // the tables of byte pairs
  return ichigo::fuzz::read_input(size, kFixed, [&] {
    auto file = ichigo::open_gguf(input.write(data, size));
    ichigo::fuzz::read_all(*file);
    ichigo::fuzz::expect_error_or_success(
        [&] { ichigo::BytePairTokenizer::from_gguf(file->metadata()).encode("Hi 1"); });
    ichigo::gguf_as_hugging_face(std::move(file));
  });
}
