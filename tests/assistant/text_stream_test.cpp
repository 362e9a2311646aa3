#include "assistant/text_stream.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

// Feeds `bytes` in pieces of the given sizes (the last repeats) and checks that every piece passed on is whole.
std::string stream(const std::string& bytes, size_t piece) {
  std::string received;
  TextStream text([&](std::string_view part) {
    EXPECT_EQ(valid_utf8_prefix(part), part.size());
    EXPECT_FALSE(part.empty());
    received += part;
  });
  for (size_t at = 0; at < bytes.size(); at += piece) text.add(std::string_view(bytes).substr(at, piece));
  text.finish();
  EXPECT_EQ(received, text.text());
  return received;
}

TEST(TextStream, GivesTheSameTextInAnyPieces) {
  const std::string text = "na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x8D\x93!";  // ï, 日本, a strawberry
  for (size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(stream(text, piece), text) << piece;
}

TEST(TextStream, DoesNotWaitForWhatIsComplete) {
  std::string received;
  TextStream text([&](std::string_view part) { received += part; });
  text.add("a\xC3");
  EXPECT_EQ(received, "a");
  text.add("\xA9");
  EXPECT_EQ(received, "a\xC3\xA9");
}

TEST(TextStream, ReplacesWhatCanNeverBecomeALetter) {
  const std::string replacement = "\xEF\xBF\xBD";
  for (size_t piece = 1; piece <= 3; ++piece) {
    EXPECT_EQ(stream("a\xFF z", piece), "a" + replacement + " z");       // no lead byte
    EXPECT_EQ(stream("\xC3 z", piece), replacement + " z");              // no continuation
    EXPECT_EQ(stream("\xE6\x97", piece), replacement);                   // ends in between
    EXPECT_EQ(stream("\xED\xA0\x80", piece).substr(0, 3), replacement);  // a surrogate
    EXPECT_EQ(stream("\xC0\xAF", piece).substr(0, 3), replacement);      // an overlong form
  }
}

TEST(TextStream, SurvivesAnyBytes) {
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(40, ' ');
    for (auto& byte : bytes)
      byte = static_cast<char>(random.below(4) == 0 ? random.below(128) : 128 + random.below(128));
    EXPECT_EQ(stream(bytes, 1 + random.below(5)), stream(bytes, bytes.size())) << round;
  }
}

}  // namespace
}  // namespace ichigo
