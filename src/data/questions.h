// The closed range of the default assistant: what is asked, in which words and with which answer, drawn from the topics
// of data/ as single questions or as dialogues. Phrasings marked "unseen" are kept out of training; they measure
// whether the assistant understands questions or only remembers them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/corpus.h"
#include "data/dialogues.h"
#include "data/topics.h"

namespace ichigo {

class QuestionSet {
 public:
  // Reads topics.tsv, the tables it names, phrasings.tsv and follow_ups.tsv of the folder. Throws Error naming file and
  // line: missing columns, an unknown topic, an unknown {name} in a template, a topic without phrasings.
  // Only kinds that begin with `kind` ("arithmetic"; "": all) are kept; an unknown one is an Error, too.
  QuestionSet(const std::filesystem::path& folder, Split split, const std::string& kind = "");

  // `count` questions, shared among the kinds by the shares of topics.tsv. Within a kind every fact comes once before
  // any comes again, each time in another phrasing as long as there are others; in random order.
  std::vector<Question> draw(int64_t count, uint64_t seed) const;
  // `count` dialogues of `turns` (2 to 4) questions. About two thirds of the later ones need the turn before ("And its
  // currency?", "Plus three?", "Can you repeat that?"), the others are new questions or thanks. All phrasings are of
  // the set's split. An answer of an earlier turn is never right, except where a repetition is asked for. The kind of a
  // question that needs the turn before begins with "follow_up_" ("follow_up_currency", "follow_up_repeat"), that of
  // thanks and the like is "reaction". Throws Error: another number of turns.
  std::vector<std::vector<Question>> draw_dialogues(int64_t count, int turns, uint64_t seed) const;
  // Every fact in every phrasing.
  std::vector<Question> all() const;

 private:
  std::vector<Topic> topics_;
  FollowUps follow_ups_;
};

// The column "answer" of inaudible.tsv: what is said when nothing could be understood. Throws Error: none.
std::vector<std::string> read_inaudible_answers(const std::filesystem::path& folder);
// Each marks such an answer, like Question::accept.
std::vector<std::string> inaudible_keys();

// Whether a sentence, which may lack punctuation, neither asks nor asks for anything: "The bread is still warm."
bool asks_nothing(const std::string& text);
// The column "answer" of statements.tsv: what is said to such a sentence. Throws Error: none.
std::vector<std::string> read_statement_answers(const std::filesystem::path& folder);
// Each marks such an answer, like Question::accept.
std::vector<std::string> statement_keys();

}  // namespace ichigo
