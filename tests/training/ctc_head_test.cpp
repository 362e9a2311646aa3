#include "training/ctc_head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

CtcHeadConfig small() {
  CtcHeadConfig config;
  config.input = 12, config.width = 64, config.layers = 2, config.kernel = 5, config.outputs = 4;
  return config;
}

TEST(CtcHead, PaddingChangesNothing) {
  at::manual_seed(1);
  const at::NoGradGuard no_gradient;
  CtcHead head(small());
  head.initialize(7);
  head.eval();
  const auto clip = at::randn({1, 9, 12});
  const auto alone = head.forward(clip, at::ones({1, 9}));
  const auto padded = at::cat({at::constant_pad_nd(clip, {0, 0, 0, 6}), at::randn({1, 15, 12})});
  auto mask = at::ones({2, 15});
  mask[0].narrow(0, 9, 6).zero_();
  const auto both = head.forward(padded, mask);
  EXPECT_LT((both[0].narrow(0, 0, 9) - alone[0]).abs().max().item<float>(), 1e-5F);
}

TEST(CtcHead, ComesBackFromItsFiles) {
  const test::TemporaryFolder folder;
  const at::NoGradGuard no_gradient;
  CtcHead head(small());
  head.initialize(7);
  head.eval();
  save_ctc_head(folder.path(), head, PhonemeSet({"p", "aɪ", "t"}));
  const auto [loaded, phonemes] = load_ctc_head(folder.path());
  EXPECT_EQ(phonemes.size(), 4);
  EXPECT_EQ(phonemes.phone(1), "aɪ");
  const auto x = at::randn({1, 5, 12}), mask = at::ones({1, 5});
  EXPECT_TRUE(at::equal(head.forward(x, mask), loaded->forward(x, mask)));
  EXPECT_THROW(load_ctc_head(folder.path() / "absent"), Error);
}

// All alignments of two phones in three positions, counted by hand.
TEST(CtcHead, LossIsTheSumOverAlignments) {
  at::manual_seed(5);
  const auto logits = at::randn({1, 3, 4});
  const auto p = at::softmax(logits, -1)[0];
  const auto at = [&](int64_t t, int64_t k) { return p[t][k].item<double>(); };
  const double total = at(0, 1) * at(1, 1) * at(2, 3) + at(0, 1) * at(1, 3) * at(2, 3) +
                       at(0, 0) * at(1, 1) * at(2, 3) + at(0, 1) * at(1, 0) * at(2, 3) + at(0, 1) * at(1, 3) * at(2, 0);
  const auto lengths = at::full({1}, 3, at::kLong), count = at::full({1}, 2, at::kLong);
  const auto phones = at::tensor(std::vector<int64_t>{1, 3}, at::kLong);
  EXPECT_NEAR(phoneme_ctc_loss(logits, lengths, phones, count).item<double>(), -std::log(total) / 2, 1e-5);
}

TEST(CtcHead, GreedyDecodingDropsBlanksAndRepeats) {
  const std::vector<int64_t> best = {0, 2, 2, 0, 2, 1, 1, 0, 0, 3};
  auto logits = at::zeros({10, 4});
  for (int64_t t = 0; t < 10; ++t) logits[t][best[t]] = 1;
  EXPECT_EQ(greedy_phonemes(logits), (std::vector<int64_t>{2, 2, 1, 3}));
  EXPECT_EQ(ctc_positions(std::vector<int64_t>{2, 2, 1, 3}), 5);
  EXPECT_EQ(ctc_positions(std::vector<int64_t>{}), 0);
}

}  // namespace
}  // namespace ichigo
