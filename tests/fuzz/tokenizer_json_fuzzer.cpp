#include "fuzz.h"
#include "text/byte_pair.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ichigo::fuzz::InputFile file("tokenizer");
  return ichigo::fuzz::expect_error_or_success([&] {
    const auto tokenizer = ichigo::BytePairTokenizer::from_file(file.write(data, size));
    tokenizer.decode(tokenizer.encode("Hello 123 \xC3\xA9\xFF<|x|>", true));
  });
}
