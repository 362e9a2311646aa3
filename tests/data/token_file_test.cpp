#include "data/token_file.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

const SpeechRow kRow{{"say \"hé\"\n", "done", {3, 3, 471}, {}}, 1, "question", "flite:awb", 1.92, {}};

TEST(TokenFile, ComesBackAsWritten) {
  const test::TemporaryFolder folder;
  write_file(folder / "t.jsonl", token_file_line({{"typed", "", {}, {}}, 0, "transcript", "", 0, {}}) + token_file_line(kRow));
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

TEST(TokenFile, KeepsTheTurnsBefore) {
  SpeechRow row = kRow;
  row.earlier = {{"hello", "hi", {7}, {}}, {"typed", "yes", {}, {}}};
  const SpeechRow read = parse_token_line(token_file_line(row));
  ASSERT_EQ(read.earlier.size(), 2U);
  EXPECT_EQ(read.earlier[0].text, "hello");
  EXPECT_EQ(read.earlier[0].answer, "hi");
  EXPECT_EQ(read.earlier[0].sound, std::vector<int>{7});
  EXPECT_TRUE(read.earlier[1].sound.empty());
  EXPECT_EQ(read.text, row.text);
}

TEST(TokenFile, ReadsThePublishedLayouts) {
  const SpeechRow sound = parse_token_line(R"({"index":4,"tokens":[5,6,512]})");
  EXPECT_EQ(sound.index, 4);
  EXPECT_EQ(sound.sound, (std::vector<int>{5, 6, 512}));
  const SpeechRow talk = parse_token_line(
      R"({"conversations":[{"content":"<|sound_start|><|sound_0003|><|sound_0471|><|sound_end|>","role":"user"},)"
      R"({"content":"Hello.","role":"assistant"},{"content":"Repeat: <|sound_start|><|sound_0009|><|sound_end|>",)"
      R"("role":"user"},{"content":"No.","role":"assistant"},{"content":"Why?","role":"user"},)"
      R"({"content":"So.","role":"assistant"}],"index":9})");
  EXPECT_EQ(talk.index, 9);
  ASSERT_EQ(talk.earlier.size(), 2U);
  EXPECT_EQ(talk.earlier[0].sound, (std::vector<int>{3, 471}));
  EXPECT_EQ(talk.earlier[0].answer, "Hello.");
  EXPECT_EQ(talk.earlier[1].prompt, "Repeat: ");
  EXPECT_EQ(talk.earlier[1].sound, std::vector<int>{9});
  EXPECT_EQ(talk.text, "Why?");
  EXPECT_EQ(talk.answer, "So.");
  EXPECT_TRUE(talk.sound.empty());
  EXPECT_CONTAINS(error_of([] {
                    parse_token_line(R"({"index":0,"conversations":[{"role":"assistant","content":"a"},)"
                                     R"({"role":"user","content":"b"}]})");
                  }),
                  "message 0 is by \"assistant\", expected \"user\"");
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
