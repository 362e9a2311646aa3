// Whisper's text normalisers, by which word error rates are made comparable.
// Source: openai-whisper normalizers/basic.py and english.py (appendix C of arXiv 2212.04356).
// Digits other than 0-9 are ordinary letters here.
#pragma once
#include <string>
#include <string_view>

namespace ichigo {

// Any language: lower case, no bracketed remarks, symbols and punctuation to spaces, diacritics kept.
std::string normalize_basic(std::string_view text);
// English: contractions and titles spelled out, numbers as digits, American spelling, no diacritics, no "um".
std::string normalize_english(std::string_view text);

}  // namespace ichigo
