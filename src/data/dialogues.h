// What people say after an answer: questions that need the turn before ("And of Japan?", "Plus three?", "Can you repeat
// that?") and reactions ("Thank you"), read from follow_ups.tsv, and the dialogues put together from them and the
// topics.
#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/topics.h"

namespace ichigo {

class FollowUps {
 public:
  // Throws Error naming file and line: missing columns, an unknown topic or relation, an unknown {name} in a template.
  FollowUps(const std::filesystem::path& file, const std::vector<Topic>& topics, Split split);

  // `turns` questions. `topics`: all or some of those that the follow-ups were read with; others are not asked about.
  std::vector<Question> dialogue(const std::vector<Topic>& topics, int turns, Random random) const;

 private:
  // Which fact a follow-up asks about, seen from the one before.
  enum class Relation {
    kOther,    // another one of the topic
    kSame,     // the same row of the table
    kAnswer,   // one whose subject is the answer just given
    kLetters,  // how that answer is spelled
    kRepeat,   // none: the answer is given again
    kNone,     // none: the follow-up brings its own answer
  };
  struct FollowUp {
    std::vector<std::string> after;  // kinds; empty: any
    Relation relation = Relation::kNone;
    std::string then;  // kind; empty: as before
    std::string question, answer;
    std::vector<std::string> accept;
  };
  // What was told last: null where nothing can refer to it.
  struct State {
    const Topic* topic = nullptr;
    const Fact* fact = nullptr;
  };
  struct Turn {
    Question question;
    State state;
  };
  Turn first(const std::vector<Topic>& topics, const std::vector<Question>& before, Random& random) const;
  // A follow-up of one of the relations, or one without a text where none fits.
  Turn next(const std::vector<Topic>& topics, const std::vector<Question>& before, const State& state,
            std::initializer_list<Relation> relations, Random& random) const;

  std::vector<FollowUp> follow_ups_;
  std::set<std::string> bound_;  // texts, spaced, that mean something else after an answer
};

}  // namespace ichigo
