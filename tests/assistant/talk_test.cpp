// The dialogue without a sound card and without a model: a source whose time the test turns on, and a partner that
// writes down what is asked of it.
#include "assistant/talk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "audio/signals.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::joined;
using test::silence;
using test::voice;

// Time goes on by 20 ms when it is waited for, and whenever the partner works.
class TestSource : public SoundSource {
 public:
  explicit TestSource(const std::vector<float>& samples)
      : samples_(test::mixed(samples, test::steady_noise("white", samples.size(), 1), -75, 1)) {}
  void pass(double seconds) { now_ += static_cast<int64_t>(seconds * kSampleRate); }
  double now() const { return static_cast<double>(now_) / kSampleRate; }

  bool read(std::vector<float>& samples, bool wait) override {
    require(now() < fails_at_, "the microphone has stopped");
    if (wait && read_ == now_) pass(0.02);
    const int64_t end = std::min<int64_t>(now_, static_cast<int64_t>(samples_.size()));
    if (read_ >= end && end == static_cast<int64_t>(samples_.size())) {
      samples.clear();
      return false;
    }
    samples.assign(samples_.begin() + read_, samples_.begin() + end);
    read_ = end;
    return true;
  }
  int64_t arrived() const override { return now_; }
  int64_t lost() const override { return lost_; }
  int64_t lost_ = 0;
  double fails_at_ = 1e9;

 private:
  std::vector<float> samples_;
  int64_t now_ = 0, read_ = 0;
};

class TestPartner : public TalkPartner {
 public:
  explicit TestPartner(TestSource& source) : source_(source) {}

  void hear(std::span<const float> samples) override {
    require(!deaf_, "nothing can be heard");
    speech_.insert(speech_.end(), samples.begin(), samples.end());
    stands_ = false;
  }
  Reply reply_so_far(const TextSink& sink, const std::function<bool()>& go_on) override {
    ++replies_;
    require(!dumb_, "nothing can be said");
    Reply reply;
    for (int i = 0; i < words_; ++i) {
      if (!go_on()) break;
      source_.pass(word_seconds_);
      const std::string word = concat(i == 0 ? "" : " ", "w", i);
      reply.text += word;
      ++reply.answer_tokens;
      sink(word);
    }
    stands_ = true;
    reply.dropped_turns = forgotten_;
    return reply;
  }
  void accept_reply() override {
    require(stands_, "there is no reply");
    stands_ = false;
    accepted_.push_back(std::exchange(speech_, {}));
  }
  void drop_speech() override {
    speech_.clear();
    ++dropped_;
  }
  void keep_of_last_answer(size_t bytes) override { kept_bytes_ = static_cast<int64_t>(bytes); }
  std::string heard(const std::function<bool()>& go_on) override {
    for (int i = 0; i < transcript_words_ && go_on(); ++i) source_.pass(word_seconds_);
    return concat(accepted_.size());
  }

  int words_ = 4, transcript_words_ = 0;
  double word_seconds_ = 0.02;
  bool deaf_ = false, dumb_ = false;
  std::vector<std::vector<float>> accepted_;
  int replies_ = 0, dropped_ = 0;
  int64_t kept_bytes_ = -1, forgotten_ = 0;

 private:
  TestSource& source_;
  std::vector<float> speech_;
  bool stands_ = false;
};

class TestVoice : public TextToSpeech {
 public:
  Audio speak(const std::string& text, const VoiceSettings& /*settings*/) override {
    said_.push_back(text);
    if (source_ != nullptr) source_->pass(work_seconds_);
    return {voice(seconds_, 9), kSampleRate};
  }
  double seconds_ = 2, work_seconds_ = 0;
  TestSource* source_ = nullptr;  // whose time goes on while it works
  std::vector<std::string> said_;
};

class TestOutput : public SoundOutput {
 public:
  void play(const Audio& audio, int64_t at) override { played_.emplace_back(at, audio.seconds()); }
  void stop(int64_t at) override { stopped_.push_back(at); }
  double latency() const override { return 0.05; }
  void finish(const std::function<bool()>& /*stop*/) override { finished_ = true; }
  std::vector<std::pair<int64_t, double>> played_;
  std::vector<int64_t> stopped_;
  bool finished_ = false;
};

class TalkTest : public testing::Test {
 protected:
  void run(const std::vector<float>& samples, const TalkConfig& config = {}) {
    source_.emplace(samples);
    partner_.emplace(*source_);
    prepare_();
    TalkSinks sinks;
    sinks.text = [this](std::string_view piece) {
      text_ += piece;
      shown_at_.push_back(source_->now());
    };
    sinks.turn = [this](const TalkTurn& turn) {
      text_ += "|";
      turns_.push_back(turn);
    };
    sinks.notice = [this](const std::string& what) { notices_.push_back(what); };
    Talk talk(*partner_, *source_, config, sinks);
    if (speaks_) talk.speak_with(voice_, output_);
    talk.run([this] { return stop_(); });
  }

  std::function<void()> prepare_ = [] {};
  std::function<bool()> stop_ = [] { return false; };
  std::optional<TestSource> source_;
  std::optional<TestPartner> partner_;
  bool speaks_ = false;
  TestVoice voice_;
  TestOutput output_;
  std::string text_;
  std::vector<double> shown_at_;
  std::vector<TalkTurn> turns_;
  std::vector<std::string> notices_;
};

TEST_F(TalkTest, AnswersTwoQuestions) {
  const auto first = voice(1, 1);
  const auto second = voice(1.5, 2);
  run(joined({silence(1), first, silence(1.5), second, silence(1.5)}));
  EXPECT_EQ(text_, "w0 w1 w2 w3|w0 w1 w2 w3|");
  ASSERT_EQ(turns_.size(), 2U);
  EXPECT_EQ(turns_[1].heard, "2");
  EXPECT_EQ(turns_[1].reply.text, "w0 w1 w2 w3");
  EXPECT_EQ(partner_->replies_, 2);
  for (const auto& turn : turns_) {
    EXPECT_EQ(turn.withdrawn, 0);
    EXPECT_FALSE(turn.interrupted);
    // Begun at 0.2 s of silence, certain at 0.5 s.
    EXPECT_NEAR(turn.first_token, 0.23, 0.06);
    EXPECT_NEAR(turn.shown, 0.53, 0.06);
  }
  // What was heard is the question with its pre-roll, and up to the pause told.
  ASSERT_EQ(partner_->accepted_.size(), 2U);
  EXPECT_NEAR(static_cast<double>(partner_->accepted_[0].size()) / kSampleRate, 0.3 + 1 + 0.22, 0.06);
  EXPECT_NEAR(static_cast<double>(partner_->accepted_[1].size()) / kSampleRate, 0.3 + 1.5 + 0.22, 0.06);
  EXPECT_TRUE(notices_.empty());
}

TEST_F(TalkTest, SaysThatTurnsAreForgotten) {
  prepare_ = [&] { partner_->forgotten_ = 3; };
  run(joined({silence(1), voice(1, 1), silence(1.5)}));
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_NE(notices_[0].find("oldest turns (3) are forgotten"), std::string::npos) << notices_[0];
}

// What was heard, whatever happened meanwhile, is the sound as it came, without a gap.
TEST_F(TalkTest, AReplyIsWithdrawnWhenSpeechGoesOn) {
  const auto samples = joined({silence(1), voice(1, 1), silence(0.4), voice(1, 2), silence(1.5)});
  for (const double word_seconds : {0.02, 0.2}) {  // complete before, and interrupted by what follows
    turns_.clear();
    text_.clear();
    prepare_ = [&] { partner_->word_seconds_ = word_seconds; };
    run(samples);
    EXPECT_EQ(text_, "w0 w1 w2 w3|");
    ASSERT_EQ(turns_.size(), 1U);
    EXPECT_EQ(turns_[0].withdrawn, 1);
    EXPECT_EQ(partner_->replies_, 2);
    EXPECT_GE(shown_at_.front(), 3.85);
    const auto& heard = partner_->accepted_.at(0);
    const auto all = test::mixed(samples, test::steady_noise("white", samples.size(), 1), -75, 1);
    EXPECT_NE(std::ranges::search(all, heard).begin(), all.end());
    EXPECT_NEAR(static_cast<double>(heard.size()) / kSampleRate, 2.4 + 0.3 + 0.22, 0.25);
  }
}

TEST_F(TalkTest, ASlowReplyIsShownAsItComesOnceTheEndIsCertain) {
  prepare_ = [this] { partner_->word_seconds_ = 0.2; };
  run(joined({silence(1), voice(1), silence(2)}));
  EXPECT_EQ(text_, "w0 w1 w2 w3|");
  ASSERT_EQ(shown_at_.size(), 3U);  // the first two at once
  EXPECT_NEAR(shown_at_[0], 2.6, 0.1);
  EXPECT_NEAR(shown_at_[1] - shown_at_[0], 0.2, 0.1);
  EXPECT_NEAR(turns_.at(0).shown, 0.6, 0.1);
}

TEST_F(TalkTest, SpeakingInterruptsAnAnswer) {
  prepare_ = [this] {
    partner_->word_seconds_ = 0.2;
    partner_->words_ = partner_->replies_ == 0 ? 30 : 2;
  };
  run(joined({silence(1), voice(1, 1), silence(1.5), voice(1, 2), silence(1)}));
  ASSERT_EQ(turns_.size(), 2U);
  EXPECT_TRUE(turns_[0].interrupted);
  EXPECT_GE(turns_[0].reply.answer_tokens, 4);
  EXPECT_LE(turns_[0].reply.answer_tokens, 10);
  EXPECT_EQ(text_.substr(0, text_.find('|')), turns_[0].reply.text);
  // The second question is complete: nothing of its beginning was lost while the first was answered.
  EXPECT_NEAR(static_cast<double>(partner_->accepted_.at(1).size()) / kSampleRate, 0.3 + 1 + 0.22, 0.1);
}

TEST_F(TalkTest, DoesNotHearItsOwnVoice) {
  speaks_ = true;
  // Its own voice comes back by the microphone for as long as it sounds, then somebody asks again.
  run(joined({silence(1), voice(1, 1), silence(0.62), voice(2, 9), silence(1.5), voice(1, 2), silence(4)}));
  EXPECT_EQ(turns_.size(), 2U);
  EXPECT_EQ(output_.played_.size(), 2U);
  EXPECT_TRUE(output_.stopped_.empty());
  EXPECT_TRUE(output_.finished_);
  EXPECT_EQ(voice_.said_, (std::vector<std::string>{"w0 w1 w2 w3", "w0 w1 w2 w3"}));
  EXPECT_NEAR(static_cast<double>(output_.played_.at(0).first) / kSampleRate, 2.53, 0.06);
  EXPECT_NEAR(turns_.at(1).first_token, 0.23, 0.06);  // the time it was deaf does not count
}

TEST_F(TalkTest, DoesNotHearAVoiceThatWasLongInTheMaking) {
  speaks_ = true;
  prepare_ = [this] {
    voice_.source_ = &*source_;
    voice_.work_seconds_ = 1.2;
  };
  run(joined({silence(1), voice(1, 1), silence(1.82), voice(2, 9), silence(1.5), voice(1, 2), silence(5)}));
  EXPECT_EQ(turns_.size(), 2U);
  ASSERT_EQ(output_.played_.size(), 2U);
  EXPECT_NEAR(static_cast<double>(output_.played_[0].first) / kSampleRate, 3.73, 0.06);
}

TEST_F(TalkTest, WhatWasSpokenIsKeptWhenTheSourceFails) {
  speaks_ = true;
  prepare_ = [this] { source_->fails_at_ = 3; };
  EXPECT_CONTAINS(test::error_of([&] { run(joined({silence(1), voice(1, 1), silence(4)})); }),
                  "microphone has stopped");
  EXPECT_EQ(output_.played_.size(), 1U);
  EXPECT_TRUE(output_.finished_);
}

TEST_F(TalkTest, SpeakingStopsItsVoiceWhileTheTranscriptIsMade) {
  speaks_ = true;
  prepare_ = [this] { partner_->transcript_words_ = 100; };
  run(joined({silence(1), voice(1, 1), silence(1.5), voice(1, 2), silence(3)}), {.barge_in = true});
  ASSERT_EQ(turns_.size(), 2U);
  ASSERT_EQ(output_.stopped_.size(), 1U);
  EXPECT_NEAR(static_cast<double>(output_.stopped_[0]) / kSampleRate, 3.65, 0.15);
  EXPECT_EQ(turns_[0].heard, "1");
}

TEST_F(TalkTest, WithHeadphonesSpeakingStopsItsVoice) {
  speaks_ = true;
  run(joined({silence(1), voice(1, 1), silence(1.5), voice(1, 2), silence(1)}), {.barge_in = true});
  ASSERT_EQ(turns_.size(), 2U);
  ASSERT_EQ(output_.stopped_.size(), 1U);
  EXPECT_NEAR(static_cast<double>(output_.stopped_[0]) / kSampleRate, 3.65, 0.15);
  // It had spoken for about 1.05 of 2 s: of 11 bytes about half were heard.
  EXPECT_GE(partner_->kept_bytes_, 4);
  EXPECT_LE(partner_->kept_bytes_, 7);
}

TEST_F(TalkTest, GoesOnAfterErrors) {
  prepare_ = [this] { partner_->dumb_ = true; };
  const auto samples = joined({silence(1), voice(1), silence(1), voice(1), silence(1)});
  run(samples);
  EXPECT_EQ(turns_.size(), 0U);
  EXPECT_EQ(notices_, (std::vector<std::string>{"nothing can be said", "nothing can be said"}));
  EXPECT_EQ(partner_->dropped_, 2);
  notices_.clear();
  prepare_ = [this] { partner_->deaf_ = true, source_->lost_ = 8000; };
  run(samples);
  ASSERT_EQ(notices_.size(), 3U);
  EXPECT_NE(notices_[0].find("0.5 s"), std::string::npos) << notices_[0];
  EXPECT_EQ(notices_[1], "nothing can be heard");
}

TEST_F(TalkTest, TheEndOfTheSourceEndsTheSpeech) {
  run(joined({silence(1), voice(1)}));
  EXPECT_EQ(text_, "w0 w1 w2 w3|");
  for (const auto& samples : {silence(0), silence(3), std::vector<float>(10)}) {
    turns_.clear();
    run(samples);
    EXPECT_TRUE(turns_.empty());
    EXPECT_EQ(partner_->replies_, 0);
  }
}

TEST_F(TalkTest, StopsWhenAsked) {
  prepare_ = [this] { partner_->words_ = 1000; };
  stop_ = [this] { return source_->now() > 4; };
  run(joined({silence(1), voice(1), silence(20)}));
  EXPECT_LT(source_->now(), 4.2);
}

TEST_F(TalkTest, SpeechWithoutAPause) {
  run(voice(100), {.activity = {.longest_speech = 10}});
  EXPECT_EQ(turns_.size(), 10U);
  for (const auto& heard : partner_->accepted_) EXPECT_LT(heard.size(), 10.1 * kSampleRate);
}

TEST_F(TalkTest, RefusesWhatMakesNoSense) {
  EXPECT_THROW(run(silence(1), {.echo_tail = -1}), Error);
  EXPECT_THROW(run(silence(1), {.activity = {.end_delay = 0}}), Error);
}

}  // namespace
}  // namespace ichigo
