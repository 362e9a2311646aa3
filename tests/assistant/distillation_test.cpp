// The Magpie method on a tiny model with random weights, whose babble a lenient style keeps.
#include "assistant/distillation.h"

#include <gtest/gtest.h>

#include "assistant/conversation.h"
#include "assistant/tiny_model.h"
#include "data/corpus.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

class Distillation : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::TemporaryFolder>();
    test::write_tiny_model(*folder_ / "model", *test::golden("tokenizer/tokenizer.json"), {.with_ear = false});
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static FusedModel model() { return load_fused_model(*folder_ / "model", PackedTypes::parse("float32"), {}); }
  // Letters and spaces of whatever it is; every third is refused.
  static DistillConfig lenient(uint64_t seed = 1) {
    DistillConfig config;
    config.seed = seed;
    config.max_tokens = 6;
    config.style = [](const std::string& text) {
      std::string kept = "x";
      for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) kept += c;
      }
      return kept.size() % 3 == 0 ? SpokenStyle{"", "by the test"} : SpokenStyle{kept, ""};
    };
    return config;
  }
  // With every token a chance to be the last, so that lines end.
  static Distiller distiller(uint64_t seed = 1) {
    FusedModel tiny = model();
    for (int64_t id = 0; id < tiny.config.vocab_size; id += 3) tiny.stop_tokens.push_back(id);
    return {std::move(tiny), lenient(seed)};
  }
  static std::unique_ptr<test::TemporaryFolder> folder_;
};
std::unique_ptr<test::TemporaryFolder> Distillation::folder_;

TEST_F(Distillation, AnAttemptDependsOnItsNumberAlone) {
  Distiller first = distiller(), second = distiller(), other = distiller(2);
  std::vector<std::string> forward, backward, elsewhere;
  for (int i = 0; i < 12; ++i) forward.push_back(first.attempt(i).question);
  for (int i = 11; i >= 0; --i) backward.push_back(second.attempt(i).question);
  for (int i = 0; i < 12; ++i) elsewhere.push_back(other.attempt(i).question);
  std::ranges::reverse(backward);
  EXPECT_EQ(forward, backward);
  EXPECT_NE(forward, elsewhere);
}

// The answer is the one that a conversation gives greedily.
TEST_F(Distillation, AnswersAsAConversationDoes) {
  Distiller maker = distiller();
  int compared = 0;
  for (int i = 0; i < 40; ++i) {
    const DistilledRow row = maker.attempt(i);
    if (!row.refused.empty()) continue;
    FusedModel tiny = model();
    ConversationConfig config;
    config.system_prompt = maker.config().system_prompt;
    for (int64_t id = 0; id < tiny.config.vocab_size; id += 3) config.sampling.stop_tokens.push_back(id);
    Conversation conversation(std::move(tiny), config);
    EXPECT_EQ(lenient().style(conversation.ask(row.question, {}).text).text, row.answer);
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST_F(Distillation, GoesOnWhereItStopped) {
  Distiller whole = distiller(), parts = distiller();
  const DistillResult result = distill(whole, *folder_ / "whole.tsv", {.attempts = 40});
  EXPECT_EQ(result.attempts, 40);
  EXPECT_GT(result.rows, 0);
  int64_t refused = 0;
  for (const auto& [_, count] : result.refused) refused += count;
  EXPECT_EQ(result.rows + refused, 40);
  distill(parts, *folder_ / "parts.tsv", {.attempts = 13});
  const DistillResult rest = distill(parts, *folder_ / "parts.tsv", {.attempts = 40});
  EXPECT_EQ(rest.attempts_now, 27);
  EXPECT_EQ(rest.rows, result.rows);
  EXPECT_EQ(read_file(*folder_ / "whole.tsv"), read_file(*folder_ / "parts.tsv"));

  const TsvTable table = read_tsv(*folder_ / "whole.tsv");
  std::set<std::string> questions;
  for (size_t row = 0; row < table.size(); ++row) {
    EXPECT_TRUE(questions.insert(table.at(row, "question")).second) << "asked twice";
    EXPECT_NE(table.at(row, "answer"), "");
  }
}

TEST_F(Distillation, RefusesFilesAndSettingsThatDoNotBelong) {
  Distiller maker = distiller(), other = distiller(2);
  write_file(*folder_ / "mine.tsv", "question\tanswer\nWhy?\tBecause.\n");
  EXPECT_CONTAINS(test::error_of([&] { distill(maker, *folder_ / "mine.tsv", {.attempts = 1}); }),
                  "not made by distill");
  distill(maker, *folder_ / "made.tsv", {.attempts = 2});
  EXPECT_CONTAINS(test::error_of([&] { distill(other, *folder_ / "made.tsv", {.attempts = 3}); }), "other settings");
  DistillConfig config;
  config.temperature = 0;
  EXPECT_CONTAINS(test::error_of([&] { Distiller(model(), config); }), "above 0");
}

}  // namespace
}  // namespace ichigo
