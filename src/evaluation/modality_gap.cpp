#include "evaluation/modality_gap.h"

#include "audio/audio_file.h"
#include "base/error.h"
#include "evaluation/text_scorer.h"

namespace ichigo {

ModalityGap evaluate_modality_gap(const FusedModel& model, const std::vector<SpokenItem>& items, bool spoken,
                                  double max_seconds, const std::function<void(const ModalityGap&)>& report) {
  require(!spoken || model.sound_tokenizer.has_value(), "this model cannot hear: measure it with typed questions only");
  require(!model.adapter, "this model hears vectors, whose gap is not measured: use evaluate questions");
  const ChatPrompt prompt(*model.tokenizer, recognize_chat_template(model.chat_template));
  const auto opening = prompt.opening(std::nullopt);
  TextScorer scorer(model);
  const auto add = [&](const UserTurn& turn, const std::vector<int64_t>& answer, ReferenceLoss& loss) {
    auto context = opening;
    const auto question = prompt.user(turn);
    context.insert(context.end(), question.begin(), question.end());
    const auto needed = static_cast<int64_t>(context.size() + answer.size());
    require(needed <= model.config.max_position_embeddings, "question and answer have ", needed,
            " tokens, but the model holds ", model.config.max_position_embeddings, ": leave the item out");
    loss.loss -= scorer.continuation(std::move(context), answer).log_likelihood;
    loss.tokens += static_cast<int64_t>(answer.size());
  };
  ModalityGap gap;
  for (const auto& item : items) {
    try {
      const auto answer = prompt.answer(item.references.front());
      add({.text = item.text}, answer, gap.typed);
      if (spoken) {
        const auto samples = read_audio(item.path, {.max_seconds = max_seconds});
        const auto codes = model.sound_tokenizer->encode(samples);
        require(!codes.empty(), item.path.string(), " is too short to be heard");
        add({.sound = codes}, answer, gap.spoken);
      }
    } catch (const Error& error) {
      fail(item.place, ": ", error.what());
    }
    ++gap.items;
    if (report) report(gap);
  }
  return gap;
}

}  // namespace ichigo
