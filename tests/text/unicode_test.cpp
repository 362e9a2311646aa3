// Against values of the Unicode standard (annex 15, figures and Hangul arithmetic) and Python's str.lower.
#include "text/unicode.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

TEST(Unicode, NormalisationForms) {
  EXPECT_EQ(normalize_nfc("A\u030A \u212B"), "\u00C5 \u00C5");
  EXPECT_EQ(normalize_nfkd("\uFB01 \u1E69 x\u00B2"), "fi s\u0323\u0307 x2");
  EXPECT_EQ(normalize_nfc("s\u0307\u0323"), "\u1E69");
  EXPECT_EQ(normalize_nfkc("\u1E9B\u0323"), "\u1E69");
  EXPECT_EQ(normalize_nfc("\u1E9B\u0323"), "\u1E9B\u0323");
  EXPECT_EQ(normalize_nfkd("\uD4DB"), "\u1111\u1171\u11B6");
  EXPECT_EQ(normalize_nfc("\u1111\u1171\u11B6"), "\uD4DB");
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093C");  // excluded from composition
}

// Every code point below U+30000 before and after marks and Hangul letters, against the hash (FNV-1a) of what Python
// 3.11's unicodedata (Unicode 14) makes of the same text.
TEST(Unicode, NormalisationFormsOfEveryCharacter) {
  std::string text;
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const char32_t part[] = {U'a', c, 0x301, c, 0x323, 0x301, c, 0x316, c, c, 0x1161, 0x11A8};
    text += encode_utf8({part, std::size(part)});
  }
  EXPECT_EQ(stable_hash(normalize_nfc(text)), 0xC87A0D11B932CC2AU);
  EXPECT_EQ(stable_hash(normalize_nfkc(text)), 0x9BF502BDF1000AC5U);
  EXPECT_EQ(stable_hash(normalize_nfkd(text)), 0xE99137C902C258F8U);
  EXPECT_EQ(normalize_nfc("\u00E9\u0323\xFF\u0301\xE2\x82"), "\u1EB9\u0301\uFFFD\u0301\uFFFD\uFFFD");
}

TEST(Unicode, LowerCase) {
  EXPECT_EQ(lower_case("ÀÉ ΟΔΟΣ ΣΑ \u0130 Ǆ ẞ"), "àé οδος σα i\u0307 ǆ ß");
}

TEST(Unicode, Utf8) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF", "\xE0\x80\x80"}) {
    EXPECT_EQ(valid_utf8_prefix(std::string("ok\u20AC") + bad), 5U);
  }
  EXPECT_EQ(valid_utf8_prefix("plain ascii text \U0010FFFF"), 21U);
  EXPECT_EQ(encode_utf8(decode_utf8("a\u00E9\u20AC\U0001F600")), "a\u00E9\u20AC\U0001F600");
  EXPECT_EQ(decode_utf8("a\xE2\x82z"), U"a\uFFFD\uFFFDz");
}

}  // namespace
}  // namespace ichigo
