#include "assistant/listener.h"

#include <gtest/gtest.h>

#include <limits>

#include "assistant/tiny_model.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

class ListenerTest : public testing::Test {
 protected:
  // Skips the test without the golden tokenizer.
  void SetUp() override { make({}); }
  void make(const EncoderBlocks& blocks) {
    ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
    test::write_tiny_model(folder_.path(), tokenizer, {.blocks = blocks});
    tokenizer_.emplace(load_ear(find_ear(folder_.path())));
  }
  test::TemporaryFolder folder_;
  std::optional<SoundTokenizer> tokenizer_;
};

// The ear that hears whole windows, and one that hears while somebody speaks.
class AnyListener : public ListenerTest, public testing::WithParamInterface<EncoderBlocks> {
 protected:
  void SetUp() override { make(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Ears, AnyListener, testing::Values(EncoderBlocks{}, EncoderBlocks{16, 8, 10}),
                         [](const auto& ear) { return ear.param.any() ? "streaming" : "whole"; });

// Hands the samples over in chunks of these sizes, again and again.
void hear(Listener& listener, std::span<const float> samples, const std::vector<size_t>& sizes) {
  for (size_t i = 0; !samples.empty(); ++i) {
    const size_t size = std::min(sizes[i % sizes.size()], samples.size());
    listener.hear(samples.first(size));
    samples = samples.subspan(size);
  }
}

TEST_P(AnyListener, HearsInAnyChunksWhatTheTokenizerHearsAtOnce) {
  const auto listener = make_listener(*tokenizer_);
  for (const double seconds : {0.05, 0.3, 3.21}) {
    const auto speech = test::tiny_speech(seconds);
    const auto expected = tokenizer_->encode(speech);
    for (const auto& sizes : std::vector<std::vector<size_t>>{{160}, {1000}, {16000}, {speech.size()}, {1, 37, 5000}}) {
      hear(*listener, speech, sizes);
      EXPECT_EQ(listener->codes_if_ended(), expected) << seconds << " s in chunks of " << sizes[0];
      listener->reset();
      EXPECT_TRUE(listener->codes().empty());
    }
  }
}

TEST_P(AnyListener, CutsLongSpeechAsTheTokenizerDoes) {
  const auto listener = make_listener(*tokenizer_);
  // Around the lengths where one window becomes two, and two three.
  for (const double seconds : {29.5, 30.0, 30.01, 57.5, 59.2, 95.0}) {
    const auto speech = test::tiny_speech(seconds);
    hear(*listener, speech, {48000, 16000, 7777});
    EXPECT_EQ(listener->codes_if_ended(), tokenizer_->encode(speech)) << seconds;
    listener->reset();
  }
}

TEST_P(AnyListener, HearsOnAfterItWasAsked) {
  const auto listener = make_listener(*tokenizer_);
  const std::vector<float> speech = test::tiny_speech(2.5);
  const std::span<const float> all = speech;
  size_t begin = 0;
  for (const size_t end : {size_t{20000}, size_t{20160}, speech.size()}) {
    listener->hear(all.subspan(begin, end - begin));
    EXPECT_EQ(listener->codes_if_ended(), tokenizer_->encode(all.first(end))) << end;
    begin = end;
  }
}

TEST_F(ListenerTest, CodesOfAStreamingEarNeverChange) {
  make({16, 8, 10});
  const auto listener = make_listener(*tokenizer_);
  const auto speech = test::tiny_speech(3.1);
  const auto expected = tokenizer_->encode(speech);
  size_t most = 0;
  for (size_t begin = 0; begin < speech.size(); begin += 700) {
    listener->hear(std::span(speech).subspan(begin, std::min<size_t>(700, speech.size() - begin)));
    ASSERT_EQ(listener->steady(), listener->codes().size());
    ASSERT_TRUE(std::equal(listener->codes().begin(), listener->codes().end(), expected.begin()));
    most = std::max(most, listener->steady());
  }
  // All but a block, its look-ahead and the one that was not full are there before the end: 8 + 4 + 7 codes.
  EXPECT_GE(most + 19, expected.size());
}

TEST_F(ListenerTest, SteadyCodesAreThoseThatStayedTheSame) {
  const auto listener = make_listener(*tokenizer_);
  const std::vector<float> speech = test::tiny_speech(1.6);
  const std::span<const float> all = speech;
  listener->hear(all.first(12800));
  const auto early = listener->codes();
  EXPECT_EQ(early, tokenizer_->encode(all.first(12800)));
  EXPECT_EQ(listener->steady(), 0U);
  listener->hear(all.subspan(12800));
  listener->codes_if_ended();  // encodes what a slow machine has put off
  const auto& late = listener->codes();
  EXPECT_EQ(late, tokenizer_->encode(all));
  const auto agreed = static_cast<size_t>(std::ranges::mismatch(early, late).in1 - early.begin());
  EXPECT_EQ(listener->steady(), agreed);
}

TEST_P(AnyListener, SilenceClippingAndNoNumbers) {
  const auto listener = make_listener(*tokenizer_);
  EXPECT_TRUE(listener->codes_if_ended().empty());
  for (const float level : {0.0F, 1.0F, 1e6F}) {
    const std::vector<float> speech(20000, level);
    hear(*listener, speech, {3000});
    EXPECT_EQ(listener->codes_if_ended(), tokenizer_->encode(speech)) << level;
    listener->reset();
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> speech = {0, bad, 0};
    EXPECT_CONTAINS(test::error_of([&] { listener->hear(speech); }), "no numbers");
  }
}

}  // namespace
}  // namespace ichigo
