#include "data/token_file.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

const SpeechRow kRow{1, "say \"hé\"\n", "done", "question", "flite:awb", 1.92, {3, 3, 471}};

TEST(TokenFile, ComesBackAsWritten) {
  const test::TemporaryFolder folder;
  write_file(folder / "t.jsonl", token_file_line({0, "typed", "", "transcript", "", 0, {}}) + token_file_line(kRow));
  const auto rows = read_token_file(folder / "t.jsonl");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_TRUE(rows[0].sound.empty());
  EXPECT_EQ(rows[1].index, 1);
  EXPECT_EQ(rows[1].text, kRow.text);
  EXPECT_EQ(rows[1].answer, "done");
  EXPECT_EQ(rows[1].kind, "question");
  EXPECT_EQ(rows[1].voice, "flite:awb");
  EXPECT_EQ(rows[1].seconds, 1.92);
  EXPECT_EQ(rows[1].sound, kRow.sound);
}

TEST(TokenFile, HasTheDocumentedForm) {
  EXPECT_EQ(token_file_line(kRow),
            "{\"index\":1,\"text\":\"say \\\"hé\\\"\\n\",\"answer\":\"done\",\"kind\":\"question\","
            "\"voice\":\"flite:awb\",\"seconds\":1.92,\"sound\":[3,3,471]}\n");
}

TEST(TokenFile, IgnoresALastLineThatIsCutOff) {
  const test::TemporaryFolder folder;
  const std::string line = token_file_line(kRow);
  for (const size_t kept : {size_t{1}, line.size() / 2, line.size() - 1}) {
    write_file(folder / "t.jsonl", line + line.substr(0, kept));
    EXPECT_EQ(read_token_file(folder / "t.jsonl").size(), 1U);
  }
}

TEST(TokenFile, NamesTheLineThatIsNoRow) {
  const test::TemporaryFolder folder;
  const std::string good = token_file_line(kRow);
  const std::string start = R"({"index":1,"text":"a","answer":"","kind":"","voice":"","seconds":1,"sound":)";
  for (const std::string& bad : {std::string("{}"), std::string("no"), std::string(""), start + "[-1]}",
                                 start + "[99999999999]}", start + "[\"a\"]}", start + "3}"}) {
    write_file(folder / "t.jsonl", good + bad + "\n" + good);
    EXPECT_CONTAINS(error_of([&] { read_token_file(folder / "t.jsonl"); }), "t.jsonl:2:") << bad;
  }
}

}  // namespace
}  // namespace ichigo
