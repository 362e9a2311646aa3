// Unicode normalisation forms and lower case (Unicode standard, chapter 3.11 and annex 15).
#pragma once
#include <string>
#include <string_view>

namespace ichigo {

// An invalid byte becomes U+FFFD.
std::string normalize_nfc(std::string_view text);
std::string normalize_nfkc(std::string_view text);
std::string normalize_nfkd(std::string_view text);
// Full lower case as Python's str.lower (final sigma included).
std::string lower_case(std::string_view text);

}  // namespace ichigo
