#include "fuzz.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return ichigo::fuzz::read_input(size, 64 << 10, [&] {
    const auto chat_template = ichigo::recognize_chat_template(std::string(reinterpret_cast<const char*>(data), size));
    ichigo::render_chat(chat_template, {{"system", "Be brief."}, {"user", "Hi"}}, true);
  });
}
