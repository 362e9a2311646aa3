// UTF-8: code points in and out, and where a text is valid.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ichigo {

// Appends the UTF-8 of a code point.
void append_utf8(std::string& out, char32_t code_point);
// Takes the first code point off `text` (not empty); an invalid byte is U+FFFD.
char32_t take_code_point(std::string_view& text);
// The code points of a text; an invalid byte becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view code_points);
// Length of the longest prefix that is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
size_t valid_utf8_prefix(std::string_view text);

}  // namespace ichigo
