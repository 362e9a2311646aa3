// The cascade with random weights: it must answer what its own parts write down, whatever that is.
#include "assistant/cascade.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "assistant/tiny_model.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

// English-only Whisper's ids with an invented word for each text id ("Ġ", a space, stands at 220 as in the original).
WhisperVocabulary invented_vocabulary(const std::filesystem::path& folder) {
  const WhisperVocabulary ids(51864);
  nlohmann::json words;
  for (int64_t id = 0; id < ids.eot(); ++id) words[id == 220 ? "\u0120" : "\u0120w" + std::to_string(id)] = id;
  const nlohmann::json file = {
      {"model", {{"type", "BPE"}, {"vocab", words}, {"merges", nlohmann::json::array()}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"added_tokens", {{{"id", ids.eot()}, {"content", "<|endoftext|>"}, {"special", true}}}}};
  write_file(folder / "whisper.json", file.dump());
  return WhisperVocabulary(51864, BytePairTokenizer::from_file(folder / "whisper.json"));
}

class CascadeTest : public testing::Test {
 protected:
  CascadeTest() {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{8});
    WhisperConfig config;
    config.n_audio_state = config.n_text_state = 16;
    config.n_audio_head = config.n_text_head = 1;
    config.n_audio_layer = config.n_text_layer = 1;
    config.n_text_ctx = 24;
    whisper_ = {config, std::make_shared<WhisperEncoder>(config), std::make_shared<WhisperDecoder>(config)};
    test::fill_randomly(*whisper_.encoder, generator, 0.3);
    test::fill_randomly(*whisper_.decoder, generator, 0.3);
    test::write_tiny_model(folder_.path() / "model", *test::golden("tokenizer/tokenizer.json"), {.with_ear = false});
  }
  Recogniser recogniser() const { return {whisper_, invented_vocabulary(folder_.path())}; }
  FusedModel model() const { return load_fused_model(folder_.path() / "model", PackedTypes::parse("float32"), {}); }
  Cascade cascade() const { return {recogniser(), model(), config_}; }

  test::TemporaryFolder folder_;
  Whisper whisper_;
  const ConversationConfig config_{.max_new_tokens = 12};
  const std::vector<float> speech_ = test::tiny_speech(2);
};

TEST_F(CascadeTest, AnswersWhatWhisperWrote) {
  const std::string written = recogniser().transcribe(speech_).text;
  ASSERT_TRUE(written.starts_with("w")) << written;
  Conversation typed(model(), config_);
  Cascade spoken = cascade();
  std::string told;
  const Reply reply = spoken.hear(speech_, "", [&](std::string_view piece) { told += piece; });
  EXPECT_EQ(spoken.heard(), written);
  EXPECT_EQ(reply.text, typed.ask(written, {}).text);
  EXPECT_EQ(told, reply.text);
  EXPECT_NE(reply.text, cascade().ask("Something else.", {}).text);
  EXPECT_EQ(reply.sound_tokens, 0);
  EXPECT_GT(reply.timing.recognise, 0);
  // The next turn has the first one before it, and words that were typed before what is said.
  EXPECT_EQ(spoken.hear(speech_, "Listen:", {}).text, typed.ask("Listen: " + written, {}).text);
}

TEST_F(CascadeTest, NothingSaidIsNoTurn) {
  Conversation typed(model(), config_);
  Cascade spoken = cascade();
  std::string told;
  const Reply reply = spoken.hear({}, "", [&](std::string_view piece) { told += piece; });
  EXPECT_EQ(reply.text, "Sorry, I could not hear you.");
  EXPECT_EQ(told, reply.text);
  EXPECT_EQ(spoken.heard(), "");
  EXPECT_EQ(spoken.ask("And what of this?", {}).text, typed.ask("And what of this?", {}).text);
}

TEST_F(CascadeTest, LongRecordingsAreWrittenWindowByWindow) {
  const auto samples = test::tiny_speech(65);
  const Transcript transcript = recogniser().transcribe(samples);
  EXPECT_EQ(transcript.language, "en");
  ASSERT_EQ(transcript.segments.size(), 3U);
  std::string all;
  double end = 0;
  for (const Segment& segment : transcript.segments) {
    EXPECT_EQ(segment.begin, end);
    EXPECT_LE(segment.end - segment.begin, 30);
    end = segment.end;
    all += (all.empty() ? "" : " ") + segment.text;
  }
  EXPECT_EQ(end, 65);
  EXPECT_EQ(transcript.text, all);
}

}  // namespace
}  // namespace ichigo
