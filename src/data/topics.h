// What the default assistant is asked about: topics, each with its facts, its question phrasings and its answer, read
// from data/ (topics.tsv, phrasings.tsv and the tables that topics.tsv names). A topic is data: only sums are made up
// here. Not here: which questions are drawn (data/questions) and what follows on them (data/dialogues).
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/corpus.h"

namespace ichigo {

// 0 to 100 as spoken: "zero", "forty two", "one hundred". Throws Error beyond.
std::string number_words(int number);

struct Question {
  std::string text;    // as spoken, numbers as words
  std::string answer;  // what the assistant should say
  // Each marks an answer as right when it occurs in it as whole words, whatever the case. A key that occurs in what was
  // said already is preceded by "is", "in" or more of the answer, so that repeating it is no answer.
  std::vector<std::string> accept;
  std::string kind;  // the topic: "capital", "arithmetic_add", "identity"...
};

// What a template's {name} stands for. {name:letters} spells it: "cat" -> "C, A, T".
struct Fact {
  std::map<std::string, std::string> values;
  std::vector<std::string> accept;
  size_t row = 0;  // in the topic's table

  // Throws Error: no value of this name.
  std::string value(const std::string& name) const;
  // Throws Error: a name that is not known, a brace that is not closed. The first letter becomes a capital.
  std::string fill(const std::string& text) const;
};

struct Topic {
  std::string kind;
  double share = 0;
  std::string table;           // file name; empty: sums
  std::string subject, value;  // names of the values that a question is about and that its answer tells
  std::string answer;          // template
  bool word_for_word = false;  // facts are questions with their answers, and their keys are taken as they are
  std::vector<Fact> facts;
  std::vector<std::string> phrasings;                     // templates of questions
  std::map<std::string, std::vector<size_t>> by_subject;  // facts about it, in order

  // `said`: what was said before in the dialogue, which must not be an answer.
  Question ask(const Fact& fact, const std::string& phrasing, const std::string& said = "") const;
};

// Throws Error naming file and line: missing columns, an unknown topic, an unknown {name} in a template, a topic
// without facts or without phrasings of this split, shares that are no shares.
std::vector<Topic> read_topics(const std::filesystem::path& folder, Split split);

// Lower case, with everything but letters, digits and apostrophes turned to single spaces, and a space at both ends.
std::string spaced_words(const std::string& text);
// "cat" -> "C, A, T"; other characters than letters are left out.
std::string spelled(const std::string& text);
// Without "the", "a" or "an" at its beginning.
std::string without_article(const std::string& text);

}  // namespace ichigo
