#include "data/dialogues.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr size_t kLongestSpelled = 10;
constexpr int kTries = 8;

bool occurs(const std::string& words, const std::string& key) {
  return words.find(spaced_words(key)) != std::string::npos;
}

std::string said_in(const std::vector<Question>& before) {
  std::string said;
  for (const auto& question : before) said += " " + question.text + " " + question.answer + " .";
  return said;
}

// Whether the question is new and no earlier answer is right for it.
bool is_fresh(const Question& question, const std::vector<Question>& before) {
  for (const auto& earlier : before) {
    if (earlier.text == question.text || earlier.answer == question.answer) return false;
    const std::string words = spaced_words(earlier.answer);
    if (std::ranges::any_of(question.accept, [&](const auto& key) { return occurs(words, key); })) return false;
  }
  const std::string words = spaced_words(question.answer);
  return std::ranges::any_of(question.accept, [&](const auto& key) { return occurs(words, key); });
}

const Topic* find_topic(const std::vector<Topic>& topics, const std::string& kind) {
  const auto found = std::ranges::find(topics, kind, &Topic::kind);
  return found == topics.end() ? nullptr : &*found;
}

bool is_short_word(const std::string& text) {
  return !text.empty() && text.size() <= kLongestSpelled &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalpha(c); });
}

}  // namespace

FollowUps::FollowUps(const std::filesystem::path& file, const std::vector<Topic>& topics, Split split) {
  static const std::map<std::string, Relation> kRelations{
      {"other", Relation::kOther},     {"same", Relation::kSame},     {"answer", Relation::kAnswer},
      {"letters", Relation::kLetters}, {"repeat", Relation::kRepeat}, {"", Relation::kNone}};
  const TsvTable table = read_tsv(file);
  for (size_t row = 0; row < table.size(); ++row) {
    const std::string place = table.place(row);
    FollowUp follow_up{split_alternatives(table.at(row, "after")),
                       {},
                       table.at(row, "then"),
                       table.at(row, "question"),
                       table.at(row, "answer"),
                       split_alternatives(table.at(row, "accept"))};
    const auto relation = kRelations.find(table.at(row, "fact"));
    require(relation != kRelations.end(), place,
            ": \"fact\" must be other, same, answer, letters, repeat or empty, not \"", table.at(row, "fact"), "\"");
    follow_up.relation = relation->second;
    require(!follow_up.question.empty() && !follow_up.after.empty(), place,
            ": \"after\" and \"question\" must not be empty");
    if (follow_up.after == std::vector<std::string>{"any"}) follow_up.after.clear();
    for (const auto& after : follow_up.after) {
      const Topic* topic = find_topic(topics, follow_up.then.empty() ? after : follow_up.then);
      require(find_topic(topics, after) && topic, place, ": unknown topic in \"", after, "\" or \"", follow_up.then,
              "\"");
      try {
        if (follow_up.relation < Relation::kLetters) topic->ask(topic->facts.front(), follow_up.question);
      } catch (const Error& error) {
        fail(place, ": ", error.what());
      }
    }
    require(follow_up.relation != Relation::kNone || (!follow_up.answer.empty() && !follow_up.accept.empty()), place,
            ": without a \"fact\", answer and accept must not be empty");
    if (follow_up.relation >= Relation::kLetters) bound_.insert(spaced_words(follow_up.question));
    if (parse_split(table.at(row, "split"), place) == split) follow_ups_.push_back(std::move(follow_up));
  }
}

FollowUps::Turn FollowUps::first(const std::vector<Topic>& topics, const std::vector<Question>& before,
                                 Random& random) const {
  double total = 0;
  for (const auto& topic : topics) total += topic.share;
  const std::string said = said_in(before);
  for (int tries = 0; tries < 1000; ++tries) {
    double place = random.uniform(0, total);
    const auto found = std::ranges::find_if(topics, [&](const auto& topic) { return (place -= topic.share) < 0; });
    const Topic& topic = found == topics.end() ? topics.back() : *found;
    const Fact& fact = topic.facts[random.below(topic.facts.size())];
    const Question question = topic.ask(fact, topic.phrasings[random.below(topic.phrasings.size())], said);
    // A dialogue may begin with "Can you repeat that?", but after an answer it asks for that.
    if (!before.empty() && (!is_fresh(question, before) || bound_.contains(spaced_words(question.text)))) continue;
    return {question, topic.word_for_word ? State{} : State{&topic, &fact}};
  }
  fail("the topics have too few facts for a dialogue of ", before.size() + 1, " turns");
}

FollowUps::Turn FollowUps::next(const std::vector<Topic>& topics, const std::vector<Question>& before,
                                const State& state, std::initializer_list<Relation> relations, Random& random) const {
  std::map<std::pair<Relation, std::string>, std::vector<const FollowUp*>> choices;
  for (const auto& follow_up : follow_ups_) {
    if (std::ranges::find(relations, follow_up.relation) == relations.end()) continue;
    if (follow_up.after.empty() || std::ranges::find(follow_up.after, state.topic->kind) != follow_up.after.end()) {
      choices[{follow_up.relation, follow_up.then + follow_up.answer}].push_back(&follow_up);
    }
  }
  for (int tries = choices.empty() ? kTries : 0; tries < kTries; ++tries) {
    const auto& alike = std::next(choices.begin(), static_cast<int64_t>(random.below(choices.size())))->second;
    const FollowUp& follow_up = *alike[random.below(alike.size())];
    if (follow_up.relation == Relation::kRepeat) {
      return {{follow_up.question, before.back().answer, before.back().accept, "follow_up_repeat"}, state};
    }
    if (follow_up.relation == Relation::kNone) {
      const Question question{follow_up.question, follow_up.answer, follow_up.accept, "reaction"};
      if (!is_fresh(question, before)) continue;
      return {question, {}};
    }
    const Topic* topic = follow_up.then.empty() ? state.topic : find_topic(topics, follow_up.then);
    if (topic == nullptr) continue;
    const std::string answer = state.fact->value(state.topic->value);
    const Fact* fact = nullptr;
    Fact letters;
    if (follow_up.relation == Relation::kLetters) {
      const std::string word = without_article(answer);
      if (!is_short_word(word)) continue;
      letters = {{{topic->subject, word}}, {spelled(word)}};
      fact = &letters;
    } else if (follow_up.relation == Relation::kOther) {
      fact = &topic->facts[random.below(topic->facts.size())];
    } else if (follow_up.relation == Relation::kSame) {
      const auto found = std::ranges::find(topic->facts, state.fact->row, &Fact::row);
      if (topic == state.topic || topic->table != state.topic->table || found == topic->facts.end()) continue;
      fact = &*found;
    } else {
      const auto found = topic->by_subject.find(answer);
      if (found == topic->by_subject.end()) continue;
      fact = &topic->facts[found->second[random.below(found->second.size())]];
      if (fact->value(topic->value) == answer) continue;  // "plus zero"
    }
    Question question = topic->ask(*fact, follow_up.question, said_in(before));
    if (!is_fresh(question, before)) continue;
    question.kind = "follow_up_" + question.kind;
    return {question, fact == &letters ? State{} : State{topic, fact}};
  }
  return {};
}

std::vector<Question> FollowUps::dialogue(const std::vector<Topic>& topics, int turns, Random random) const {
  std::vector<Question> questions;
  State state;
  while (static_cast<int>(questions.size()) < turns) {
    Turn turn;
    if (state.topic != nullptr) {
      const double chance = random.uniform();
      if (chance < 0.55) {
        turn = next(topics, questions, state, {Relation::kOther, Relation::kSame, Relation::kAnswer}, random);
      } else if (chance < 0.61) {
        turn = next(topics, questions, state, {Relation::kLetters}, random);
      } else if (chance < 0.68 && questions.back().kind != "follow_up_repeat") {
        turn = next(topics, questions, state, {Relation::kRepeat}, random);
      } else if (chance < 0.74) {
        turn = next(topics, questions, state, {Relation::kNone}, random);
      }
    }
    if (turn.question.text.empty()) turn = first(topics, questions, random);
    state = turn.state;
    questions.push_back(std::move(turn.question));
  }
  return questions;
}

}  // namespace ichigo
