// The closed range of the default assistant: who it is, small talk, arithmetic to 100, and capitals, continents and
// currencies of the world's countries, put together from the facts and phrasings of data/. Phrasings marked "unseen"
// are kept out of training; they measure whether the assistant understands questions or only remembers them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/corpus.h"

namespace ichigo {

// 0 to 100 as spoken: "zero", "forty two", "one hundred". Throws Error beyond.
std::string number_words(int number);

struct Question {
  std::string text;    // as spoken, numbers as words
  std::string answer;  // what the assistant should say
  // Each marks an answer as right when it occurs in it as whole words, whatever the case. A key that occurs in the
  // question already is preceded by "is", "in" or more of the answer, so that repeating the question is no answer.
  std::vector<std::string> accept;
  std::string kind;  // "capital", "arithmetic_add", "identity"...
};

class QuestionSet {
 public:
  // Reads countries.tsv, phrasings.tsv, identity.tsv and small_talk.tsv of the folder. Throws Error naming file and
  // line: missing columns, an unknown topic, an unknown {name} in a template, a topic without phrasings.
  // Only kinds that begin with `kind` ("arithmetic"; "": all) are kept; an unknown one is an Error, too.
  QuestionSet(const std::filesystem::path& folder, Split split, const std::string& kind = "");

  // `count` questions, shared among the kinds by fixed shares. Within a kind every fact comes once before any comes
  // again, each time in another phrasing as long as there are others; in random order.
  std::vector<Question> draw(int64_t count, uint64_t seed) const;
  // Every fact in every phrasing.
  std::vector<Question> all() const;

 private:
  struct Fact {
    std::vector<std::pair<std::string, std::string>> values;  // name in the template -> text
    std::vector<std::string> accept;
  };
  struct Phrasing {
    std::string question, answer;
  };
  struct Topic {
    std::string kind;
    double share = 0;
    std::vector<Fact> facts;
    std::vector<Phrasing> phrasings;
  };
  static Question ask(const Topic& topic, const Fact& fact, const Phrasing& phrasing);
  void add_fixed(const std::filesystem::path& path, const std::string& kind, Split split);
  void add_facts(const std::filesystem::path& folder, Split split);

  std::vector<Topic> topics_;                                    // facts x phrasings
  std::vector<std::pair<double, std::vector<Question>>> fixed_;  // share; identity and small talk, word for word
};

}  // namespace ichigo
