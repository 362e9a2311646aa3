// Spelled-out English numbers to digits ("two thousand and four" -> "2004", "five dollars" -> "$5").
// Not for callers: they use normalize.h.
#pragma once
#include <string>

namespace ichigo {

// `text` is lower-case and free of punctuation other than . % $ ¢ € £.
std::string digits_for_number_words(const std::string& text);

}  // namespace ichigo
