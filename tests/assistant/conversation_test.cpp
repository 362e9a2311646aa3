#include "assistant/conversation.h"

#include <gtest/gtest.h>

#include "assistant/tiny_model.h"
#include "golden.h"
#include "temporary_folder.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

using test::TemporaryFolder;

class ConversationTest : public testing::Test {
 protected:
  // Skips the test without the golden tokenizer.
  void write(const test::TinyModelOptions& options = {}) {
    ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
    test::write_tiny_model(folder_.path(), tokenizer, options);
  }
  Conversation start(ConversationConfig config = {}) {
    if (config.max_new_tokens == 256) config.max_new_tokens = 20;
    return {load_fused_model(folder_.path(), PackedTypes::parse("float32"), find_ear(folder_.path())), std::move(config)};
  }
  TemporaryFolder folder_;
};

// What the model would write at each position of an answer when the whole text were given to it at once. The sound
// tokens, which an answer never has, are the last of its vocabulary.
std::vector<int64_t> predict_at_once(const FusedModel& model, const std::vector<int64_t>& tokens) {
  KeyValueCache cache;
  const at::NoGradGuard no_grad;
  const at::Tensor hidden = model.decoder->forward(at::tensor(at::ArrayRef(tokens), at::kLong), cache);
  const int64_t text_tokens = model.tokenizer->id_of("<|sound_start|>");
  const at::Tensor predicted = model.decoder->logits(hidden).narrow(1, 0, text_tokens).argmax(-1);
  return {predicted.const_data_ptr<int64_t>(), predicted.const_data_ptr<int64_t>() + predicted.numel()};
}

TEST_F(ConversationTest, TurnsThroughTheCacheAreAsOneFreshRun) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start({.system_prompt = "Be brief."});
  size_t checked = 0;
  for (int turn = 0; turn < 3; ++turn) {
    const Reply reply = turn == 1 ? conversation.hear(test::tiny_speech(1.3), "Listen:", {})
                                  : conversation.ask("And what of this?", {});
    const auto& tokens = conversation.tokens();
    const auto predicted = predict_at_once(conversation.model(), tokens);
    // The answer, and the token that ended it unless it was cut off, stand at the end.
    const size_t end = tokens.size() - (reply.cut_off ? 1 : 0);
    const size_t begin = tokens.size() - 1 - static_cast<size_t>(reply.answer_tokens);
    for (size_t i = begin; i < end; ++i) EXPECT_EQ(tokens[i], predicted[i - 1]) << "turn " << turn << " token " << i;
    checked += end - begin;
  }
  EXPECT_GT(checked, 20U);
}

TEST_F(ConversationTest, AnswersAreText) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start({.sampling = {.temperature = 3, .seed = 5}, .max_new_tokens = 200});
  const SoundVocabulary sounds(*conversation.model().tokenizer);
  const Reply reply = conversation.ask("What do you hear?", {});
  ASSERT_GT(reply.answer_tokens, 20);
  const auto& tokens = conversation.tokens();
  for (auto token = tokens.end() - 1 - reply.answer_tokens; token != tokens.end(); ++token) {
    EXPECT_FALSE(sounds.is_code(*token) || *token == sounds.start() || *token == sounds.end()) << *token;
  }
}

TEST_F(ConversationTest, AnswersOfBothKindsOfTurnsComeAsTheyAreStreamed) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start({.sampling = {.temperature = 1.5, .seed = 3}, .max_new_tokens = 60});
  std::string streamed;
  const TextSink sink = [&](std::string_view piece) {
    EXPECT_EQ(valid_utf8_prefix(piece), piece.size());
    streamed += piece;
  };
  const Reply heard = conversation.hear(test::tiny_speech(1), "", sink);
  EXPECT_EQ(heard.text, streamed);
  EXPECT_EQ(heard.sound_tokens, 25);
  EXPECT_GT(heard.prompt_tokens, 25);
  EXPECT_GT(heard.timing.encode, 0);
  EXPECT_GT(heard.timing.prefill, 0);
  EXPECT_EQ(heard.timing.load, 0);
  streamed.clear();
  EXPECT_EQ(conversation.ask("Yes?", sink).text, streamed);
}

TEST_F(ConversationTest, ResetStartsAgainFromTheSeed) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start({.sampling = {.temperature = 1, .seed = 8}});
  const std::string first = conversation.ask("Who are you?", {}).text;
  conversation.ask("And now?", {});
  conversation.reset();
  EXPECT_TRUE(conversation.tokens().empty());
  EXPECT_EQ(conversation.heard(), "");
  EXPECT_EQ(conversation.ask("Who are you?", {}).text, first);
}

TEST_F(ConversationTest, TranscriptionLeavesTheConversationAlone) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start();
  const auto speech = test::tiny_speech(1.5);
  conversation.hear(speech, "", {});
  const auto tokens = conversation.tokens();
  const std::string heard = conversation.heard();
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(conversation.tokens(), tokens);
  EXPECT_EQ(start().transcribe(speech), heard);
  // The words of the transcription prompt, then the sound codes, answered greedily.
  Conversation asked = start({.max_new_tokens = 16 + 37 / 2});
  std::string answer = asked.hear(speech, transcription_prompts().front(), {}).text;
  EXPECT_NE(answer.find(heard), std::string::npos);
}

TEST_F(ConversationTest, TooMuchSpeechIsRefusedAndForgotten) {
  write({.context = 100});
  if (IsSkipped()) return;
  Conversation conversation = start();
  conversation.ask("Hi", {});
  const auto tokens = conversation.tokens();
  EXPECT_CONTAINS(test::error_of([&] { conversation.hear(test::tiny_speech(5), "", {}); }), "too long");
  EXPECT_EQ(conversation.tokens(), tokens);
  const Reply reply = conversation.ask("Hi", {});
  EXPECT_LE(conversation.tokens().size(), 101U);
  EXPECT_GT(reply.answer_tokens, 0);
}

TEST_F(ConversationTest, ATextModelCannotHear) {
  write({.with_ear = false});
  if (IsSkipped()) return;
  Conversation conversation = start();
  EXPECT_CONTAINS(test::error_of([&] { conversation.hear(test::tiny_speech(1), "", {}); }), "text-only");
  EXPECT_NO_THROW(conversation.ask("Hi", {}));
}

TEST_F(ConversationTest, NothingToHear) {
  write();
  if (IsSkipped()) return;
  Conversation conversation = start();
  EXPECT_CONTAINS(test::error_of([&] { conversation.hear({}, "", {}); }), "nothing to hear");
  EXPECT_CONTAINS(test::error_of([&] { start({.max_new_tokens = 0}); }), "at least 1 token");
}

}  // namespace
}  // namespace ichigo
