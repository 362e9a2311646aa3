#include "data/corpus.h"

#include <gtest/gtest.h>

#include <set>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

class CorpusTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& name, const std::string& text) {
    write_file(folder_ / name, text);
    return folder_ / name;
  }
  test::TemporaryFolder folder_;
};

TEST_F(CorpusTest, ReadsColumnsByTheirNames) {
  const TsvTable table = read_tsv(file("t.tsv",
                                       "\xEF\xBB\xBF"
                                       "b\ta\r\n# note\n1\t2\r\n\n3\n\t4\n"));
  ASSERT_EQ(table.size(), 3U);
  EXPECT_EQ(table.at(0, "a"), "2");
  EXPECT_EQ(table.at(0, "b"), "1");
  EXPECT_EQ(table.at(1, "a"), "");
  EXPECT_EQ(table.at(2, "a"), "4");
  EXPECT_TRUE(table.has("a"));
  EXPECT_FALSE(table.has("c"));
  EXPECT_CONTAINS(table.place(1), "t.tsv:5");
}

TEST_F(CorpusTest, SaysWhatIsWrongWithATable) {
  EXPECT_CONTAINS(error_of([&] { read_tsv(file("t.tsv", "a\tb\n1\t2\t3\n")); }), "t.tsv:2: 3 cells");
  EXPECT_CONTAINS(error_of([&] { read_tsv(file("t.tsv", "")); }), "is empty");
  EXPECT_CONTAINS(error_of([&] { read_tsv(file("t.tsv", "a\ta\n")); }), "\"a\" is named twice");
  EXPECT_CONTAINS(error_of([&] { read_tsv(file("t.tsv", "a\n\xFF\n")); }), "t.tsv:2: not UTF-8");
  EXPECT_CONTAINS(error_of([&] { read_tsv(file("t.tsv", "path\ttext\n1\t2\n")).at(0, "transcript"); }),
                  "t.tsv has no column \"transcript\"; its header names: path, text");
  EXPECT_CONTAINS(error_of([&] { read_tsv(folder_ / "missing.tsv"); }), "missing.tsv");
}

TEST_F(CorpusTest, HoldsOutEveryTwentiethSentence) {
  std::string text;
  for (int line = 1; line <= 60; ++line) text += "sentence " + std::to_string(line) + "\n";
  const auto path = file("s.txt", text);
  EXPECT_EQ(read_sentences(path, Split::kUnseen),
            (std::vector<std::string>{"sentence 7", "sentence 27", "sentence 47"}));
  EXPECT_EQ(read_sentences(path, Split::kTrain).size(), 57U);
}

TEST_F(CorpusTest, ReadsRecordingsFromAList) {
  file("audio/a.wav", "x");
  const auto list = file("list.tsv", "speaker\ttranscript\tpath\nme\tWE CALL IT BEAR\taudio/a.wav\n");
  const auto recordings = read_recordings(list);
  ASSERT_EQ(recordings.size(), 1U);
  EXPECT_EQ(recordings[0].path, folder_ / "audio/a.wav");
  EXPECT_EQ(recordings[0].transcript, "We call it bear");
  EXPECT_CONTAINS(error_of([&] { read_recordings(file("l.tsv", "path\ttranscript\nnone.wav\tx\n")); }),
                  "l.tsv:2: there is no recording");
  EXPECT_CONTAINS(error_of([&] { read_recordings(file("l.tsv", "path\ttranscript\naudio/a.wav\n")); }),
                  "transcript is empty");
  EXPECT_CONTAINS(error_of([&] { read_recordings(file("l.tsv", "path\naudio/a.wav\n")); }), "no column \"transcript\"");
}

TEST_F(CorpusTest, ReadsLibriSpeechFolders) {
  file("libri/84/121/84-121-0000.flac", "x");
  file("libri/84/121/84-121-0001.flac", "x");
  file("libri/84/121/84-121.trans.txt", "84-121-0000 GO NOW\n84-121-0001 DON'T\n");
  file("mls/transcripts.txt", "10_20_000001\tthe words\n");
  file("mls/audio/10/20/10_20_000001.flac", "x");
  const auto libri = read_recordings(folder_ / "libri");
  ASSERT_EQ(libri.size(), 2U);
  EXPECT_EQ(libri[1].path, folder_ / "libri/84/121/84-121-0001.flac");
  EXPECT_EQ(libri[1].transcript, "Don't");
  const auto mls = read_recordings(folder_ / "mls");
  ASSERT_EQ(mls.size(), 1U);
  EXPECT_EQ(mls[0].path, folder_ / "mls/audio/10/20/10_20_000001.flac");
  EXPECT_EQ(mls[0].transcript, "the words");
  std::filesystem::create_directories(folder_ / "bare");
  EXPECT_CONTAINS(error_of([&] { read_recordings(folder_ / "bare"); }), "holds no recordings");
  file("libri/84/121/84-121.trans.txt", "84-121-0002 GONE\n");
  EXPECT_CONTAINS(error_of([&] { read_recordings(folder_ / "libri"); }), "84-121.trans.txt:1");
}

}  // namespace
}  // namespace ichigo
