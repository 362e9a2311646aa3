#include "evaluation/questions.h"

#include "base/error.h"
#include "data/corpus.h"
#include "data/questions.h"
#include "text/normalize.h"

namespace ichigo {
namespace {

std::string padded(const std::string& text) {
  return " " + normalize_english(text) + " ";
}

}  // namespace

std::vector<QuestionItem> read_questions(const std::filesystem::path& list, QuestionForm form, size_t limit) {
  const TsvTable table = read_tsv(list);
  const bool spoken = form == QuestionForm::kSpoken;
  const std::string column = spoken ? "path" : "text", earlier = spoken ? "earlier" : "earlier_text";
  std::vector<QuestionItem> items;
  for (size_t row = 0; row < table.size() && (limit == 0 || row < limit); ++row) {
    QuestionItem item;
    item.place = table.place(row);
    const std::string& question = table.at(row, column);
    require(!question.empty(), item.place, ": the column \"", column, "\" is empty");
    const auto recording = [&](const std::string& name) {
      const auto path = list.parent_path() / name;
      require(std::filesystem::exists(path), item.place, ": there is no recording ", path.string());
      return path;
    };
    if (spoken) {
      item.path = recording(question);
    } else {
      item.text = question;
    }
    if (table.has(earlier)) {
      for (const auto& turn : split_alternatives(table.at(row, earlier))) {
        item.earlier.push_back(spoken ? recording(turn).string() : turn);
      }
    }
    for (auto& answer : split_alternatives(table.at(row, "answer"))) {
      require(padded(answer).size() > 2, item.place, ": the accepted answer \"", answer, "\" has no words");
      item.answers.push_back(std::move(answer));
    }
    require(!item.answers.empty(), item.place, ": the column \"answer\" is empty");
    items.push_back(std::move(item));
  }
  require(!items.empty(), list.string(), " has no rows");
  return items;
}

bool is_right(const std::string& answer, const std::vector<std::string>& accepted) {
  const std::string words = padded(answer);
  return std::ranges::any_of(accepted,
                             [&](const auto& right) { return words.find(padded(right)) != std::string::npos; });
}

QuestionScore evaluate_questions(
    const std::vector<QuestionItem>& items, const std::function<std::string(const QuestionItem&)>& answer,
    const std::function<void(const QuestionItem&, const std::string& answer, bool right)>& report) {
  QuestionScore score;
  for (const auto& item : items) {
    std::string given;
    try {
      given = answer(item);
    } catch (const Error& error) {
      fail(item.place, ": ", error.what());
    }
    const bool right = is_right(given, item.answers);
    score.right += right ? 1 : 0;
    score.unheard += is_right(given, inaudible_keys()) ? 1 : 0;
    ++score.items;
    if (report) report(item, given, right);
  }
  return score;
}

}  // namespace ichigo
