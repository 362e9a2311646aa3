// Against the published order of ids (golden/tokenizer has Ichigo's extension) and the published spelling.
#include "text/sound_vocabulary.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "golden.h"

namespace ichigo {
namespace {

TEST(SoundVocabulary, PublishedIds) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  auto tokenizer = BytePairTokenizer::from_file(file);
  const SoundVocabulary vocabulary(tokenizer);
  EXPECT_EQ(vocabulary.start(), 1688);
  EXPECT_EQ(vocabulary.end(), 1689);
  EXPECT_EQ(vocabulary.id(0), 1690);
  EXPECT_EQ(vocabulary.codes(), 513);
  EXPECT_TRUE(vocabulary.is_code(1690) && vocabulary.is_code(2202));
  EXPECT_FALSE(vocabulary.is_code(1689) || vocabulary.is_code(2203));
  EXPECT_EQ(vocabulary.code(1700), 10);

  const std::vector<int> codes = {0, 511, 42, 42, 512};
  EXPECT_EQ(vocabulary.ids(codes), tokenizer.encode(sound_string(codes)));
  EXPECT_THROW(vocabulary.ids(std::vector<int>{513}), Error);
  // Extending what has them already changes nothing; sound tokens are not hidden by skipping special ones.
  SoundVocabulary::extend(tokenizer, 512);
  EXPECT_EQ(tokenizer.vocabulary_size(), 2203);
  EXPECT_EQ(tokenizer.decode(vocabulary.ids(std::vector<int>{7})), "<|sound_0007|>");
}

// Ichigo 0.5: a run of k > 1 equal codes is <|duration_kk|> and the code.
TEST(SoundVocabulary, Durations) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  auto tokenizer = BytePairTokenizer::from_file(file);
  std::vector<std::string> durations;
  for (int length = 2; length < 50; ++length)
    durations.push_back("<|duration_" + std::string(length < 10 ? "0" : "") + std::to_string(length) + "|>");
  tokenizer.add_tokens(durations, false);
  const SoundVocabulary vocabulary(tokenizer);
  std::vector<int> codes = {5, 5, 5, 7, 9, 9};
  const std::string text =
      "<|sound_start|><|duration_03|><|sound_0005|><|sound_0007|><|duration_02|><|sound_0009|><|sound_end|>";
  EXPECT_EQ(vocabulary.ids(codes), tokenizer.encode(text));
  EXPECT_EQ(parse_sound_string(text), codes);
  // No token is longer than 49.
  codes.assign(60, 3);
  EXPECT_EQ(vocabulary.ids(codes), tokenizer.encode("<|sound_start|><|duration_49|><|sound_0003|><|duration_11|>"
                                                    "<|sound_0003|><|sound_end|>"));
  int64_t ids = 0;
  for (const auto& [begin, end] : vocabulary.ranges()) ids += end - begin;
  EXPECT_EQ(ids, 2 + 513 + 48);
  // Nothing is shorter than one code that is held.
  for (const size_t length : {0, 1, 2, 48, 49, 50, 51, 98, 99, 300}) {
    EXPECT_EQ(vocabulary.fewest_ids(static_cast<int64_t>(length)),
              static_cast<int64_t>(vocabulary.ids(std::vector<int>(length, 3)).size()))
        << length;
  }
  for (const char* bad : {"<|sound_start|><|duration_03|><|sound_end|>", "<|sound_start|><|duration_3|>"}) {
    EXPECT_THROW(parse_sound_string(bad), Error) << bad;
  }
}

TEST(SoundVocabulary, NumbersOfVectorsStay) {
  ICHIGO_GOLDEN_OR_SKIP(path, "tokenizer/tokenizer.json");
  const auto tokenizer = BytePairTokenizer::from_file(path);
  const SoundVocabulary sounds(tokenizer);
  EXPECT_EQ(sounds.ids(std::vector<int>{-1, 2, -8}),
            (std::vector<int64_t>{sounds.start(), -1, sounds.id(2), -8, sounds.end()}));
  EXPECT_EQ(vector_id(0), -1);
  EXPECT_EQ(vector_id(-8), 7);
}

TEST(SoundVocabulary, Strings) {
  const std::vector<int> codes = {1, 2048, 0, 9999};
  EXPECT_EQ(sound_string(codes),
            "<|sound_start|><|sound_0001|><|sound_2048|><|sound_0000|><|sound_9999|><|sound_end|>");
  EXPECT_EQ(parse_sound_string(sound_string(codes)), codes);
  EXPECT_TRUE(parse_sound_string("<|sound_start|><|sound_end|>").empty());
  const std::string good = sound_string(codes);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_THROW(parse_sound_string(good.substr(0, size)), Error);
  for (const char* bad : {"<|sound_start|> <|sound_end|>", "<|sound_start|><|sound_12|><|sound_end|>",
                          "<|sound_start|><|sound_end|>x", "<|sound_start|><|sound_-001|><|sound_end|>"}) {
    EXPECT_THROW(parse_sound_string(bad), Error) << bad;
  }
  EXPECT_THROW(sound_token(10000), Error);
}

}  // namespace
}  // namespace ichigo
