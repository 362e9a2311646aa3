// Against jiwer's counts (golden/text/wer.json).
#include "evaluation/word_error_rate.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "golden.h"

namespace ichigo {
namespace {

TEST(WordErrorRate, Golden) {
  ICHIGO_GOLDEN_OR_SKIP(file, "text/wer.json");
  int count = 0;
  for (const auto& row : nlohmann::json::parse(read_file(file))) {
    const auto reference = row["reference"].get<std::string>(), hypothesis = row["hypothesis"].get<std::string>();
    const WordErrors errors = count_word_errors(reference, hypothesis);
    EXPECT_EQ(errors.substitutions, row["substitutions"]) << reference << "\n" << hypothesis;
    EXPECT_EQ(errors.deletions, row["deletions"]) << reference << "\n" << hypothesis;
    EXPECT_EQ(errors.insertions, row["insertions"]) << reference << "\n" << hypothesis;
    EXPECT_NEAR(errors.rate(), row["wer"].get<double>(), 1e-12);
    ++count;
  }
  EXPECT_EQ(count, 200);
}

TEST(WordErrorRate, EdgesAndSums) {
  EXPECT_EQ(count_word_errors("", "").rate(), 0.0);
  EXPECT_EQ(count_word_errors(" ", "a b").insertions, 2);
  EXPECT_EQ(count_word_errors("", "a").rate(), 1.0);
  EXPECT_EQ(count_word_errors("a  b\tc", "").deletions, 3);
  WordErrors sum = count_word_errors("a b c", "a x c");
  sum += count_word_errors("d", "d e");
  EXPECT_EQ(sum.words, 4);
  EXPECT_EQ(sum.errors(), 2);
  EXPECT_EQ(sum.rate(), 0.5);
}

}  // namespace
}  // namespace ichigo
