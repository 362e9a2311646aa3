// Spelling speech by CTC from a layer of the decoder.
#include "training/letter_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(LetterLoss, LettersOfTexts) {
  EXPECT_EQ(letters_of("Abc z"), (std::vector<int64_t>{1, 2, 3, 28, 26}));
  EXPECT_EQ(letters_of("  It's -- a re-do. 7 "), letters_of("it's a re do"));
  EXPECT_TRUE(letters_of("42!").empty());
}

// Sums the probability of every path of blanks and letters, where there are few.
double brute_force(const at::Tensor& log_probabilities, const std::vector<int64_t>& letters) {
  const int64_t time = log_probabilities.size(0), outputs = log_probabilities.size(1);
  double total = 0;
  for (int64_t path = 0; path < static_cast<int64_t>(std::pow(outputs, time)); ++path) {
    std::vector<int64_t> read;
    int64_t rest = path, last = 0;
    double log_probability = 0;
    for (int64_t t = 0; t < time; ++t, rest /= outputs) {
      const int64_t output = rest % outputs;
      log_probability += log_probabilities[t][output].item<double>();
      if (output != 0 && output != last) read.push_back(output);
      last = output;
    }
    if (read == letters) total += std::exp(log_probability);
  }
  return -std::log(total);
}

TEST(LetterLoss, IsTheSumOverAllPaths) {
  const at::NoGradGuard no_gradient;
  const LetterLoss letters(8, at::kFloat, 3);
  at::manual_seed(1);
  const auto hidden = 5 * at::randn({9, 8});
  const std::vector<SpokenSpan> spoken = {{1, 4, "a"}, {6, 9, "b c"}};
  double expected = 0;
  for (const auto& span : spoken) {
    const auto rows = hidden.slice(0, span.begin, span.end);
    const auto unit = rows / rows.square().mean(-1, true).sqrt();
    const auto parameters = letters.parameters();
    const auto all = at::log_softmax(at::linear(unit, parameters[0].second, parameters[1].second), -1);
    expected += brute_force(all, letters_of(span.text));
  }
  EXPECT_NEAR(letters.loss(hidden, spoken).item<double>(), expected, 4e-4);
  EXPECT_EQ(count_letters(spoken), 4);  // the space is one
  EXPECT_EQ(letters.loss(hidden, {}).item<double>(), 0);
  EXPECT_EQ(letters.loss(hidden, {{0, 2, "too long for two"}}).item<double>(), 0);
}

TEST(LetterLoss, StartsWhereAnotherRunEnded) {
  const test::TemporaryFolder folder;
  const LetterLoss first(8, at::kFloat, 3);
  std::map<std::string, at::Tensor> masters = {{"model.norm.weight", at::ones({8})}};
  for (const auto& [name, tensor] : first.parameters()) masters[name] = tensor;
  first.save(folder / "letter_loss.safetensors", masters);
  const LetterLoss second(8, at::kFloat, 4, folder / "letter_loss.safetensors");
  EXPECT_TRUE(second.parameters()[0].second.equal(first.parameters()[0].second));
  EXPECT_CONTAINS(test::error_of([&] { LetterLoss(16, at::kFloat, 4, folder / "letter_loss.safetensors"); }),
                  "[29, 8]");
}

}  // namespace
}  // namespace ichigo
