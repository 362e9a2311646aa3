#include "evaluation/transcripts.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(Transcripts, NormalisesBothSidesAndSumsErrors) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.wav", "b.wav", "c.wav"}) write_file(folder / name, "x");
  write_file(folder / "list.tsv",
             "transcript\tspeaker\tpath\nI'm in Colour.\tx\ta.wav\nTWENTY ONE MEN\tx\tb.wav\nHello there\ty\tc.wav\n");
  const auto items = read_transcripts(folder / "list.tsv");
  ASSERT_EQ(items.size(), 3U);
  std::vector<int64_t> errors;
  const WordErrors total = evaluate_transcripts(
      items,
      [](const TranscriptItem& item) {
        return item.path.filename() == "a.wav" ? "i am in color" : item.path.filename() == "b.wav" ? "21 man" : "";
      },
      [&](const TranscriptItem&, const std::string&, const WordErrors& one) { errors.push_back(one.errors()); });
  EXPECT_EQ(errors, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(total.words, 4 + 2 + 2);
  EXPECT_DOUBLE_EQ(total.rate(), 3.0 / 8.0);
  EXPECT_EQ(read_transcripts(folder / "list.tsv", 2).size(), 2U);
}

TEST(Transcripts, SaysWhatIsWrongWithAList) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& list) {
    write_file(folder / "list.tsv", list);
    return test::error_of([&] { read_transcripts(folder / "list.tsv"); });
  };
  EXPECT_CONTAINS(message("path\ttext\na\tb\n"), "no column \"transcript\"");
  EXPECT_CONTAINS(message("path\ttranscript\na.wav\t\n"), "list.tsv:2: the column \"transcript\" is empty");
  EXPECT_CONTAINS(message("path\ttranscript\na.wav\tb\n"), "there is no recording");
  EXPECT_CONTAINS(message("# nothing\npath\ttranscript\n"), "no rows");
}

}  // namespace
}  // namespace ichigo
