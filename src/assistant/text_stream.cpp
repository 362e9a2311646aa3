#include "assistant/text_stream.h"

#include "text/utf8.h"

namespace ichigo {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Whether more bytes could complete the sequence that `bytes` (not valid as it is) begins with.
bool may_become_valid(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes.front());
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (bytes.size() >= length) return false;
  // Completed by the largest or the smallest continuation bytes it is valid, or it never will be.
  for (const char continuation : {'\xBF', '\x80'}) {
    std::string completed(bytes);
    completed.resize(length, continuation);
    if (valid_utf8_prefix(completed) == length) return true;
  }
  return false;
}

}  // namespace

void TextStream::pass_on(std::string_view piece) {
  if (piece.empty()) return;
  text_ += piece;
  if (sink_) sink_(piece);
}

void TextStream::add(std::string_view bytes) {
  waiting_ += bytes;
  std::string ready;
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    const size_t valid = valid_utf8_prefix(rest);
    ready += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty() || may_become_valid(rest)) break;
    ready += kReplacement;
    rest.remove_prefix(1);
  }
  waiting_ = std::string(rest);
  pass_on(ready);
}

void TextStream::finish() {
  if (!waiting_.empty()) pass_on(kReplacement);
  waiting_.clear();
}

}  // namespace ichigo
