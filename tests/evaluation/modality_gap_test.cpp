#include "evaluation/modality_gap.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "assistant/tiny_model.h"
#include "audio/audio_file.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

// One plain pass over prompt and answer.
double plain_loss(const FusedModel& model, std::vector<int64_t> ids, const std::vector<int64_t>& answer) {
  const auto begin = static_cast<int64_t>(ids.size());
  ids.insert(ids.end(), answer.begin(), answer.end());
  KeyValueCache cache;
  const auto likely =
      at::log_softmax(model.decoder->logits(model.decoder->forward(at::tensor(ids, at::kLong), cache)), -1);
  double loss = 0;
  for (size_t i = 0; i < answer.size(); ++i) {
    loss -= likely[begin + static_cast<int64_t>(i) - 1][answer[i]].item<double>();
  }
  return loss;
}

TEST(ModalityGap, IsTheLossOfTheSameAnswerBehindBothQuestions) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder / "model", tokenizer);
  write_audio(folder / "a.wav", test::tiny_speech(1));
  write_audio(folder / "b.wav", test::tiny_speech(2));
  write_file(folder / "list.tsv",
             "path\ttext\treference\na.wav\tWhat is it?\tA house.\nb.wav\tWhere is it?\tBehind the hill, I think.\n");
  const auto items = read_spoken_items(folder / "list.tsv", Needs::kBoth);
  const FusedModel model =
      load_fused_model(folder / "model", PackedTypes::parse("float32"), find_ear(folder / "model"));
  int reports = 0;
  const auto gap = evaluate_modality_gap(model, items, true, 600, [&](const ModalityGap&) { ++reports; });

  const ChatPrompt prompt(*model.tokenizer, recognize_chat_template(model.chat_template));
  double typed = 0, spoken = 0;
  int64_t tokens = 0;
  for (const auto& item : items) {
    const auto answer = prompt.answer(item.references[0]);
    EXPECT_EQ(answer.back(), prompt.end_of_turn());
    const auto behind = [&](const UserTurn& turn) {
      auto ids = prompt.opening(std::nullopt);
      const auto question = prompt.user(turn);
      ids.insert(ids.end(), question.begin(), question.end());
      return plain_loss(model, ids, answer);
    };
    typed += behind({.text = item.text});
    spoken += behind({.sound = model.sound_tokenizer->encode(read_audio(item.path))});
    tokens += static_cast<int64_t>(answer.size());
  }
  EXPECT_EQ(reports, 2);
  EXPECT_EQ(gap.items, 2);
  EXPECT_EQ(gap.typed.tokens, tokens);
  EXPECT_EQ(gap.spoken.tokens, tokens);
  EXPECT_NEAR(gap.typed.loss, typed, 1e-3 * typed);
  EXPECT_NEAR(gap.spoken.loss, spoken, 1e-3 * spoken);
  EXPECT_GT(std::abs(typed - spoken), 1e-2 * typed);

  const auto alone = evaluate_modality_gap(model, items, false, 600);
  EXPECT_EQ(alone.spoken.tokens, 0);
  EXPECT_DOUBLE_EQ(alone.typed.loss, gap.typed.loss);
  const FusedModel deaf = load_fused_model(folder / "model", PackedTypes::parse("float32"), {});
  EXPECT_CONTAINS(test::error_of([&] { evaluate_modality_gap(deaf, items, true, 600); }), "cannot hear");
  test::write_tiny_model(folder / "rival", tokenizer, {.adapter = true});
  const FusedModel rival =
      load_fused_model(folder / "rival", PackedTypes::parse("float32"), find_ear(folder / "rival"));
  EXPECT_CONTAINS(test::error_of([&] { evaluate_modality_gap(rival, items, true, 600); }), "hears vectors");
  EXPECT_CONTAINS(test::error_of([&] { evaluate_modality_gap(model, items, true, 0.5); }), "list.tsv:2: ");
}

}  // namespace
}  // namespace ichigo
