// Against openai-whisper's own tables (golden/whisper/tokens.json) and published ids of the English-only models.
#include "text/whisper_vocabulary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"

namespace ichigo {
namespace {

using Ids = std::vector<int64_t>;

TEST(WhisperVocabulary, GoldenMultilingual) {
  ICHIGO_GOLDEN_OR_SKIP(file, "whisper/tokens.json");
  const auto golden = nlohmann::json::parse(read_file(file));
  const WhisperVocabulary vocabulary(51865);
  EXPECT_EQ(vocabulary.sot(), golden["sot"]);
  EXPECT_EQ(vocabulary.eot(), golden["eot"]);
  EXPECT_EQ(vocabulary.no_timestamps(), golden["no_timestamps"]);
  EXPECT_EQ(vocabulary.no_speech(), golden["no_speech"]);
  EXPECT_EQ(vocabulary.timestamp_begin(), golden["timestamp_begin"]);
  EXPECT_EQ(vocabulary.sot_sequence("en", "transcribe", true), golden["sot_sequence"].get<Ids>());
  EXPECT_EQ(vocabulary.non_speech(), golden["non_speech_tokens"].get<Ids>());
  const auto languages = golden["languages"].get<std::vector<std::string>>();
  const auto tokens = golden["language_tokens"].get<Ids>();
  ASSERT_EQ(vocabulary.languages(), static_cast<int64_t>(languages.size()));
  for (size_t i = 0; i < languages.size(); ++i) {
    EXPECT_EQ(vocabulary.language_token(languages[i]), tokens[i]) << languages[i];
    EXPECT_EQ(vocabulary.language_of(tokens[i]), languages[i]);
  }
  EXPECT_EQ(vocabulary.size(), 51865);
  EXPECT_EQ(vocabulary.sot_sequence("fr", "translate", false), (Ids{50258, 50265, 50358, 50363}));
}

TEST(WhisperVocabulary, OtherSizes) {
  const WhisperVocabulary english(51864);
  EXPECT_FALSE(english.multilingual());
  EXPECT_EQ(english.eot(), 50256);
  EXPECT_EQ(english.sot_sequence("en", "transcribe", false), (Ids{50257, 50362}));
  EXPECT_THROW(english.sot_sequence("de", "transcribe", false), Error);
  EXPECT_EQ(english.timestamp_begin(), 50363);
  EXPECT_EQ(english.suppressed_at_begin(), (Ids{220, 50256}));
  // The tail of suppress_tokens as published with tiny.en.
  const Ids suppressed = english.suppressed();
  EXPECT_EQ(suppressed.size(), 90U);
  EXPECT_EQ(Ids(suppressed.end() - 7, suppressed.end()), (Ids{49146, 50257, 50357, 50358, 50359, 50360, 50361}));

  const WhisperVocabulary large(51866);
  EXPECT_EQ(large.language_token("yue"), 50358);
  EXPECT_EQ(large.no_timestamps(), 50364);
  EXPECT_EQ(large.size(), 51866);
  EXPECT_TRUE(large.is_timestamp(50365) && large.is_timestamp(51865));
  EXPECT_FALSE(large.is_timestamp(50364) || large.is_timestamp(51866));
  EXPECT_DOUBLE_EQ(large.timestamp_seconds(51865), 30.0);
}

TEST(WhisperVocabulary, Errors) {
  EXPECT_THROW(WhisperVocabulary(51863), Error);
  EXPECT_THROW(WhisperVocabulary(0), Error);
  const WhisperVocabulary vocabulary(51865);
  EXPECT_THROW(vocabulary.language_token("yue"), Error);
  EXPECT_THROW(vocabulary.language_of(50258), Error);
  EXPECT_THROW(vocabulary.sot_sequence("en", "sing", true), Error);
  EXPECT_THROW(vocabulary.decode({1}), Error);
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  EXPECT_THROW(WhisperVocabulary(51865, BytePairTokenizer::from_file(file)), Error);
}

}  // namespace
}  // namespace ichigo
