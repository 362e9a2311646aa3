// Speech that is answered while it comes, and what happens to the turns: interruption, withdrawal, a full context.
#include <gtest/gtest.h>

#include "assistant/conversation.h"
#include "assistant/tiny_model.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

class StreamingTest : public testing::Test {
 protected:
  // Skips the test without the golden tokenizer.
  void write(const test::TinyModelOptions& options = {}) {
    ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
    test::write_tiny_model(folder_.path(), tokenizer, options);
  }
  Conversation start(ConversationConfig config = {}) {
    if (config.max_new_tokens == 256) config.max_new_tokens = 20;
    return {load_fused_model(folder_.path(), {}, find_ear(folder_.path())), std::move(config)};
  }
  test::TemporaryFolder folder_;
};

void hear(Conversation& conversation, std::span<const float> samples, const std::vector<size_t>& sizes) {
  for (size_t i = 0; !samples.empty(); ++i) {
    const size_t size = std::min(sizes[i % sizes.size()], samples.size());
    conversation.hear(samples.first(size));
    samples = samples.subspan(size);
  }
}

class AnyEarStreamingTest : public StreamingTest, public testing::WithParamInterface<test::TinyModelOptions> {};
INSTANTIATE_TEST_SUITE_P(Ears, AnyEarStreamingTest,
                         testing::Values(test::TinyModelOptions{}, test::TinyModelOptions{.blocks = {16, 8, 10}},
                                         test::TinyModelOptions{.adapter = true}),
                         [](const auto& ear) {
                           return ear.param.adapter ? "adapter" : ear.param.blocks.any() ? "streaming" : "whole";
                         });

TEST_P(AnyEarStreamingTest, AnyChunksAreAnsweredAsTheWholeRecording) {
  write(GetParam());
  if (IsSkipped()) return;
  const auto speech = test::tiny_speech(2.17), more = test::tiny_speech(0.9, 7);
  Conversation offline = start({.system_prompt = "Be brief."});
  offline.hear(speech, "", {});
  offline.ask("And now?", {});
  const Reply expected = offline.hear(more, "", {});
  for (const auto& sizes : std::vector<std::vector<size_t>>{{160}, {1000}, {16000}, {40000}, {1, 333, 9000}}) {
    Conversation streaming = start({.system_prompt = "Be brief."});
    hear(streaming, speech, sizes);
    EXPECT_GT(streaming.end_of_speech({}).timing.while_speaking, 0);
    streaming.ask("And now?", {});
    hear(streaming, more, sizes);
    std::string streamed;
    const Reply reply = streaming.end_of_speech([&](std::string_view piece) { streamed += piece; });
    EXPECT_EQ(streaming.tokens(), offline.tokens()) << "chunks of " << sizes[0];
    EXPECT_EQ(reply.text, expected.text);
    EXPECT_EQ(streamed, expected.text);
    EXPECT_EQ(reply.sound_tokens, expected.sound_tokens);
    EXPECT_EQ(reply.prompt_tokens, expected.prompt_tokens);
    EXPECT_EQ(streaming.heard(), offline.heard());
  }
}

// All but the codes that may change is in the cache before the end: 11 blocks of 8, of which the last needs
// (10 * 16 + 24) * 320 + 200 samples; the twelfth would need 64,200 of the 64,000.
TEST_F(StreamingTest, WhatIsSettledIsReadBeforeTheEnd) {
  write({.blocks = {16, 8, 10}});
  if (IsSkipped()) return;
  Conversation conversation = start();
  conversation.hear(test::tiny_speech(4));
  const SoundVocabulary sounds(*conversation.model().tokenizer);
  EXPECT_EQ(std::ranges::count_if(conversation.tokens(), [&](int64_t id) { return sounds.is_code(id); }), 88);
}

TEST_F(StreamingTest, SamplesOneByOne) {
  write();
  if (IsSkipped()) return;
  const auto speech = test::tiny_speech(0.5);
  Conversation offline = start(), streaming = start();
  offline.hear(speech, "", {});
  hear(streaming, speech, {1});
  streaming.end_of_speech({});
  EXPECT_EQ(streaming.tokens(), offline.tokens());
}

TEST_F(StreamingTest, AReplyIsWithdrawnByMoreSpeech) {
  write();
  if (IsSkipped()) return;
  // Drawn answers: draws for a reply that is withdrawn must not count.
  const ConversationConfig config{.sampling = {.temperature = 1, .repetition_penalty = 1.1, .seed = 3}};
  const auto speech = test::tiny_speech(2);
  const std::span<const float> all = speech;
  Conversation offline = start(config), streaming = start(config);
  offline.hear(speech, "", {});
  offline.ask("Yes?", {});

  hear(streaming, all.first(17000), {320});
  const Reply early = streaming.reply_so_far({});
  Conversation shorter = start(config);
  EXPECT_EQ(early.text, shorter.hear(all.first(17000), "", {}).text);
  hear(streaming, all.subspan(17000), {320});
  const Reply reply = streaming.reply_so_far({});
  // Asked again, the reply stands as it is; no samples withdraw it, and it comes again.
  std::string again;
  EXPECT_EQ(streaming.reply_so_far([&](std::string_view piece) { again += piece; }).text, reply.text);
  EXPECT_EQ(again, reply.text);
  streaming.hear(std::span<const float>());
  EXPECT_NE(test::error_of([&] { streaming.accept_reply(); }), "");
  EXPECT_EQ(streaming.reply_so_far({}).text, reply.text);
  streaming.accept_reply();
  streaming.ask("Yes?", {});
  EXPECT_EQ(streaming.tokens(), offline.tokens());
}

// The vectors of what was withdrawn or dropped must never be taken for those of what was heard after it.
TEST_F(StreamingTest, VectorsOfOtherSpeechAreNotMistaken) {
  write({.adapter = true});
  if (IsSkipped()) return;
  const auto speech = test::tiny_speech(2);
  const std::span<const float> all = speech;
  Conversation offline = start({.max_new_tokens = 12}), streaming = start({.max_new_tokens = 12});
  hear(streaming, all.first(17000), {320});
  streaming.reply_so_far({});
  hear(streaming, all.subspan(17000), {320});
  EXPECT_EQ(streaming.end_of_speech({}).text, offline.hear(speech, "", {}).text);
  hear(streaming, test::tiny_speech(2, 9), {4000});
  streaming.reply_so_far({});
  streaming.drop_speech();
  const auto more = test::tiny_speech(2, 5);
  EXPECT_EQ(streaming.transcribe(test::tiny_speech(1, 3)), start().transcribe(test::tiny_speech(1, 3)));
  hear(streaming, more, {4000});
  EXPECT_EQ(streaming.end_of_speech({}).text, offline.hear(more, "", {}).text);
  EXPECT_EQ(streaming.heard(), offline.heard());
  EXPECT_NE(streaming.heard(), start().transcribe(speech));
}

TEST_F(StreamingTest, NoiseLeavesNoTrace) {
  write();
  if (IsSkipped()) return;
  const ConversationConfig config{.sampling = {.temperature = 1, .seed = 3}};
  Conversation quiet = start(config), noisy = start(config);
  noisy.hear(test::tiny_speech(1));
  noisy.drop_speech();
  EXPECT_TRUE(noisy.tokens().empty());
  quiet.ask("Hi", {});
  noisy.ask("Hi", {});
  noisy.hear(test::tiny_speech(1));
  noisy.reply_so_far({});
  noisy.drop_speech();
  noisy.drop_speech();
  EXPECT_EQ(noisy.tokens(), quiet.tokens());
  const auto speech = test::tiny_speech(1.2, 4);
  quiet.hear(speech, "", {});
  hear(noisy, speech, {500});
  noisy.end_of_speech({});
  EXPECT_EQ(noisy.tokens(), quiet.tokens());
}

TEST_F(StreamingTest, AnErrorLeavesTheConversationAsItWas) {
  write({.context = 300});
  if (IsSkipped()) return;
  Conversation conversation = start();
  conversation.ask("Hi", {});
  const auto tokens = conversation.tokens();
  const auto unharmed = [&](const std::string& error, const std::string& part) {
    EXPECT_CONTAINS(error, part);
    EXPECT_EQ(conversation.tokens(), tokens);
  };
  unharmed(test::error_of([&] { conversation.end_of_speech({}); }), "no speech to answer");
  unharmed(test::error_of([&] { conversation.accept_reply(); }), "no reply to accept");
  conversation.hear(std::vector<float>(300));
  unharmed(test::error_of([&] { conversation.end_of_speech({}); }), "shorter than one sound token");
  conversation.hear(test::tiny_speech(0.5));
  EXPECT_CONTAINS(test::error_of([&] { conversation.ask("Hi", {}); }), "speech goes on");
  EXPECT_CONTAINS(test::error_of([&] { conversation.hear(test::tiny_speech(1), "", {}); }), "speech goes on");
  EXPECT_CONTAINS(test::error_of([&] { conversation.keep_of_last_answer(0); }), "speech goes on");
  const auto fails = [](std::string_view) { fail("the listener left"); };
  unharmed(test::error_of([&] { conversation.end_of_speech(fails); }), "the listener left");
  // Ten minutes without a pause: told as soon as the model cannot hold it, and at once for a recording.
  const std::vector<float> second = test::tiny_speech(1);
  int seconds = 0;
  const std::string error = test::error_of([&] {
    for (; seconds < 600; ++seconds) conversation.hear(second);
  });
  unharmed(error, "too long");
  EXPECT_LE(seconds, 12);
  unharmed(test::error_of([&] { conversation.hear(std::vector<float>(600 * 16000), "", {}); }), "speech is too long");
  Conversation fresh = start();
  fresh.ask("Hi", {});
  EXPECT_EQ(conversation.ask("Who?", {}).text, fresh.ask("Who?", {}).text);
}

TEST_F(StreamingTest, AnInterruptedAnswerKeepsWhatWasGivenOut) {
  write();
  if (IsSkipped()) return;
  const auto speech = test::tiny_speech(1);
  Conversation whole = start(), conversation = start();
  const Reply full = whole.hear(speech, "", {});
  ASSERT_GT(full.answer_tokens, 6);
  conversation.hear(speech);
  int asked = 0;
  const Reply reply = conversation.end_of_speech({}, [&] { return ++asked <= 5; });
  EXPECT_TRUE(reply.interrupted);
  EXPECT_FALSE(full.interrupted);
  EXPECT_EQ(reply.answer_tokens, 5);
  EXPECT_TRUE(full.text.starts_with(reply.text));

  // Cut at a whole token, then what follows is as after the shorter answer.
  const auto& tokens = conversation.tokens();
  const size_t begin = tokens.size() - 6;
  const auto size = [&](size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += conversation.model().tokenizer->token_bytes(tokens[begin + i]).size();
    return bytes;
  };
  std::vector<int64_t> expected = tokens;
  conversation.keep_of_last_answer(size(5));
  EXPECT_EQ(tokens, expected);
  const size_t bytes = size(4) - 1;  // not all of the fourth token
  conversation.keep_of_last_answer(bytes);
  expected.erase(expected.end() - 3, expected.end() - 1);
  EXPECT_EQ(tokens, expected);
  Conversation shorter = start();
  shorter.hear(speech);
  asked = 0;
  shorter.end_of_speech({}, [&] { return ++asked <= 3; });
  EXPECT_EQ(tokens, shorter.tokens());
  EXPECT_EQ(conversation.ask("Go on", {}).text, shorter.ask("Go on", {}).text);
  EXPECT_EQ(tokens, shorter.tokens());

  // Nothing of the answer was given out: the question is forgotten as well.
  const auto before = tokens;
  conversation.ask("And?", {});
  conversation.keep_of_last_answer(0);
  EXPECT_EQ(tokens, before);
  EXPECT_EQ(conversation.turns(), 2U);
}

TEST_F(StreamingTest, AFullContextForgetsTheOldestTurns) {
  write({.context = 400});
  if (IsSkipped()) return;
  Conversation conversation = start({.system_prompt = "Be brief."}), offline = start({.system_prompt = "Be brief."});
  int64_t dropped = 0;
  std::vector<int64_t> opening;
  for (int turn = 0; turn < 24; ++turn) {
    const auto speech = test::tiny_speech(1 + 0.1 * turn, static_cast<uint64_t>(turn));
    const size_t turns = conversation.turns();
    Reply reply;
    if (turn % 3 == 2) {
      reply = conversation.ask("And this one?", {});
      offline.ask("And this one?", {});
    } else {
      hear(conversation, speech, {4000});
      reply = conversation.end_of_speech({});
      offline.hear(speech, "", {});
    }
    EXPECT_EQ(conversation.tokens(), offline.tokens()) << "turn " << turn;
    dropped += reply.dropped_turns;
    EXPECT_EQ(conversation.turns(), turns + 1 - static_cast<size_t>(reply.dropped_turns));
    EXPECT_GT(reply.answer_tokens, 0);
    const auto& tokens = conversation.tokens();
    ASSERT_LE(tokens.size(), 401U);
    if (opening.empty()) opening.assign(tokens.begin(), tokens.begin() + 12);
    EXPECT_TRUE(std::equal(opening.begin(), opening.end(), tokens.begin())) << "turn " << turn;
    if (reply.dropped_turns == 0) continue;
    EXPECT_LE(static_cast<int64_t>(tokens.size()) - reply.prompt_tokens - reply.answer_tokens - 1, 200);
    // What is left is a conversation that begins with the system prompt: what it says next depends on nothing else.
    KeyValueCache cache;
    const at::Tensor hidden = conversation.model().decoder->forward(at::tensor(at::ArrayRef(tokens), at::kLong), cache);
    const int64_t text_tokens = conversation.model().tokenizer->id_of("<|sound_start|>");
    const at::Tensor predicted = conversation.model().decoder->logits(hidden).narrow(1, 0, text_tokens).argmax(-1);
    const size_t begin = tokens.size() - 1 - static_cast<size_t>(reply.answer_tokens);
    for (size_t i = begin; i + 1 < tokens.size(); ++i) {
      EXPECT_EQ(tokens[i], predicted[static_cast<int64_t>(i) - 1].item<int64_t>()) << "turn " << turn << " token " << i;
    }
  }
  EXPECT_GT(dropped, 15);
}

TEST_F(StreamingTest, SpeechOfAMinute) {
  write();
  if (IsSkipped()) return;
  const auto speech = test::tiny_speech(60);
  Conversation offline = start(), streaming = start();
  offline.hear(speech, "", {});
  hear(streaming, speech, {8000});
  const Reply reply = streaming.end_of_speech({});
  EXPECT_EQ(reply.sound_tokens, 1500);
  EXPECT_EQ(streaming.tokens(), offline.tokens());
}

TEST_F(StreamingTest, ATextModelHearsNothing) {
  write({.with_ear = false});
  if (IsSkipped()) return;
  Conversation conversation = start();
  EXPECT_CONTAINS(test::error_of([&] { conversation.hear(test::tiny_speech(1)); }), "text-only");
}

}  // namespace
}  // namespace ichigo
