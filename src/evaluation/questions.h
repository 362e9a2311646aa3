// Questions with known answers, spoken or typed: how many does an assistant answer right?
// Not here: who answers; that is a function that the caller gives.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ichigo {

struct QuestionItem {
  std::filesystem::path path;        // the recording; empty: the question is typed
  std::string text;                  // the typed question; empty: it is spoken only
  std::vector<std::string> answers;  // any of these is right
  std::string place;                 // "list.tsv:12", for messages
  // Asked before it in the same conversation: recordings, or typed as the question is. Their answers do not count.
  std::vector<std::string> earlier;
};

enum class QuestionForm { kSpoken, kTyped };

// A TSV with the columns path (spoken) or text (typed), and answer: accepted answers split by |. A list of dialogues
// also has earlier (recordings) or earlier_text, split by |. Other columns are ignored; paths are relative to the
// list's folder. The first `limit` rows, or all when it is 0.
// Throws Error naming the line: an empty cell, a recording that does not exist, no rows.
std::vector<QuestionItem> read_questions(const std::filesystem::path& list, QuestionForm form, size_t limit = 0);

// Whether one of the accepted answers occurs in `answer` as whole words, both normalised as English.
bool is_right(const std::string& answer, const std::vector<std::string>& accepted);

struct QuestionScore {
  int64_t right = 0, items = 0;
  int64_t unheard = 0;  // answers that say that nothing could be understood
  double accuracy() const { return items == 0 ? 0 : static_cast<double>(right) / static_cast<double>(items); }
};

// `answer` gives the words of an answer; `report`, if any, is told of every item.
QuestionScore evaluate_questions(
    const std::vector<QuestionItem>& items, const std::function<std::string(const QuestionItem&)>& answer,
    const std::function<void(const QuestionItem&, const std::string& answer, bool right)>& report = {});

}  // namespace ichigo
