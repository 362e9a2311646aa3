// Against openai-whisper's normalisers (golden/text/normalizer.json).
#include "text/normalize.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "golden.h"

namespace ichigo {
namespace {

TEST(Normalize, Golden) {
  ICHIGO_GOLDEN_OR_SKIP(file, "text/normalizer.json");
  int count = 0;
  for (const auto& row : nlohmann::json::parse(read_file(file))) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(normalize_english(text), row["english"].get<std::string>()) << text;
    EXPECT_EQ(normalize_basic(text), row["basic"].get<std::string>()) << text;
    ++count;
  }
  EXPECT_EQ(count, 180);
}

// Answers of openai-whisper 20250625.
TEST(Normalize, NumbersBeyondTheGoldenLines) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"two hundred thirty four decillion and a half", "234000000000000000000000000000000000.5"},
      {"99999999999999999999999999999999999999999 thousand", "100000000000000000000000000000000000998000"},
      {"1.5 million", "1500000"},
      {"1.2345 thousand", "one.2345 1000"},
      {"twelve and a half percent", "12.5%"},
      {"triple five double o seven", "555007"},
      {"$0.05 and 00.50", "¢5 and 00.50"},
      {"3 pounds and 7 cents", "£3.07"},
      {"twenty twenty first", "2021st"},
      {"per cent point five", "per cent .5"},
      {"ΟΔΟΣ ﬁne ½ cup", "οδος fine one 2 cup"}};
  for (const auto& [text, expected] : rows) EXPECT_EQ(normalize_english(text), expected) << text;
}

TEST(Normalize, AnyBytes) {
  EXPECT_EQ(normalize_english(""), "");
  EXPECT_EQ(normalize_basic("a\xFF\xE2\x82"), "a ");
}

}  // namespace
}  // namespace ichigo
