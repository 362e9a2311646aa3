#include "fuzz.h"
#include "text/byte_pair.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("tokenizer");
  constexpr size_t kFixed = 2 << 20;  // the tables of byte pairs
  return ichigo::fuzz::read_input(size, kFixed, [&] {
    const auto tokenizer = ichigo::BytePairTokenizer::from_file(file.write(data, size));
    tokenizer.decode(tokenizer.encode("Hello 123 \xC3\xA9\xFF<|x|>", true));
  });
}
