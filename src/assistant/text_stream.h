// Token bytes in, text out: only whole UTF-8 sequences are passed on, so that a terminal or a client never sees half a
// letter. Bytes that can never become one are replaced by U+FFFD.
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace ichigo {

// Receives an answer piece by piece.
using TextSink = std::function<void(std::string_view)>;

class TextStream {
 public:
  // `sink` may be empty.
  explicit TextStream(TextSink sink) : sink_(std::move(sink)) {}
  void add(std::string_view bytes);
  // An unfinished sequence at the end becomes U+FFFD.
  void finish();
  const std::string& text() const { return text_; }

 private:
  void pass_on(std::string_view piece);
  TextSink sink_;
  std::string text_, waiting_;
};

}  // namespace ichigo
