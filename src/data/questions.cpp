#include "data/questions.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/random.h"

namespace ichigo {
namespace {

std::vector<std::string> read_answers(const std::filesystem::path& file) {
  const TsvTable table = read_tsv(file);
  std::vector<std::string> answers;
  for (size_t row = 0; row < table.size(); ++row) answers.push_back(table.at(row, "answer"));
  require(!answers.empty(), file.string(), " has no answers");
  return answers;
}

}  // namespace

QuestionSet::QuestionSet(const std::filesystem::path& folder, Split split, const std::string& kind)
    : topics_(read_topics(folder, split)), follow_ups_(folder / "follow_ups.tsv", topics_, split) {
  std::string kinds;
  for (const auto& topic : topics_) kinds += (kinds.empty() ? "" : ", ") + topic.kind;
  std::erase_if(topics_, [&](const Topic& topic) { return !topic.kind.starts_with(kind); });
  require(!topics_.empty(), "there are no questions of the kind \"", kind, "\": name one of ", kinds,
          ", or how it begins");
}

std::vector<Question> QuestionSet::draw(int64_t count, uint64_t seed) const {
  std::vector<Question> drawn;
  double total = 0, share_done = 0;
  for (const auto& topic : topics_) total += topic.share;
  for (const auto& topic : topics_) {
    Random random = Random::keyed(seed, stable_hash(topic.kind));
    std::vector<size_t> order(topic.facts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const uint64_t first = random.next() >> 1;
    // Rounding the running total gives every kind its share and all of them together exactly `count`.
    share_done += topic.share;
    const int64_t wanted =
        std::llround(static_cast<double>(count) * share_done / total) - static_cast<int64_t>(drawn.size());
    const auto facts = static_cast<int64_t>(order.size()), phrasings = static_cast<int64_t>(topic.phrasings.size());
    for (int64_t i = 0; i < wanted; ++i) {
      if (i % facts == 0) random.shuffle(order);
      const size_t fact = order[static_cast<size_t>(i % facts)];
      std::vector<size_t> mine(topic.phrasings.size());
      std::iota(mine.begin(), mine.end(), size_t{0});
      Random::keyed(first, fact).shuffle(mine);
      drawn.push_back(topic.ask(topic.facts[fact], topic.phrasings[mine[static_cast<size_t>(i / facts % phrasings)]]));
    }
  }
  Random::keyed(seed, stable_hash("questions")).shuffle(drawn);
  return drawn;
}

std::vector<std::vector<Question>> QuestionSet::draw_dialogues(int64_t count, int turns, uint64_t seed) const {
  require(2 <= turns && turns <= 4, "a dialogue has 2 to 4 turns, not ", turns);
  std::vector<std::vector<Question>> dialogues;
  for (int64_t i = 0; i < count; ++i) {
    dialogues.push_back(follow_ups_.dialogue(topics_, turns, Random::keyed(seed, stable_hash("dialogue"), turns, i)));
  }
  return dialogues;
}

std::vector<Question> QuestionSet::all() const {
  std::vector<Question> questions;
  for (const auto& topic : topics_) {
    for (const auto& fact : topic.facts) {
      for (const auto& phrasing : topic.phrasings) questions.push_back(topic.ask(fact, phrasing));
    }
  }
  return questions;
}

std::vector<std::string> read_inaudible_answers(const std::filesystem::path& folder) {
  return read_answers(folder / "inaudible.tsv");
}

std::vector<std::string> inaudible_keys() {
  return {"not hear",     "not catch",          "not understand", "not make",  "not quite",
          "hard to hear", "hard to understand", "to hear you",    "hear only", "hear nothing"};
}

bool asks_nothing(const std::string& text) {
  static const std::set<std::string> kOpenings = {
      "what",    "who",     "whom",     "whose", "which",  "when",   "where",  "why",    "how",   "whats",  "whos",
      "wheres",  "whens",   "whys",     "hows",  "do",     "does",   "did",    "is",     "are",   "am",     "was",
      "were",    "has",     "have",     "had",   "can",    "could",  "will",   "would",  "shall", "should", "may",
      "might",   "must",    "isnt",     "arent", "wasnt",  "werent", "dont",   "doesnt", "didnt", "cant",   "couldnt",
      "wont",    "wouldnt", "shouldnt", "hasnt", "havent", "hadnt",  "please", "tell",   "say",   "give",   "name",
      "explain", "let",     "call",     "turn",  "play",   "open"};
  static const std::set<std::string> kBefore = {"and", "but", "so", "or",   "then", "if",
                                                "oh",  "yes", "no", "well", "hey"};
  if (text.find('?') != std::string::npos) return false;
  const std::string spaced = spaced_words(text);
  if (spaced.find(" please ") != std::string::npos) return false;
  std::istringstream words(spaced);
  std::string word;
  while (words >> word && kBefore.contains(word)) {
  }
  return !kOpenings.contains(word);
}

std::vector<std::string> read_statement_answers(const std::filesystem::path& folder) {
  return read_answers(folder / "statements.tsv");
}

std::vector<std::string> statement_keys() {
  return {"a question", "no question", "your question", "is yours", "ask", "asked"};
}

}  // namespace ichigo
