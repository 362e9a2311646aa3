// Who says how good an answer is, from 0 to 5, as in AudioBench (arXiv 2406.16020): a language model that is shown the
// reference, or a plain comparison of words for questions with short answers. Several judges may rate side by side.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/chat_endpoint.h"

namespace ichigo {

struct AnswerToJudge {
  std::string question;
  std::vector<std::string> references;  // any of these is right
  std::string answer;
};

struct Rating {
  double score = 0;        // 0 to 5
  bool understood = true;  // false: the judge gave no rating, which counts as 0, as AudioBench counts it
  std::string words;       // of the judge
};

class Judge {
 public:
  virtual ~Judge() = default;
  virtual std::string name() const = 0;
  virtual Rating rate(const AnswerToJudge& answer) = 0;  // throws Error
};

// Without any model. A reference of up to four words (a fact) is right or wrong: 5 where one of the references occurs
// as whole words in the answer (is_right of questions.h), else 0. For longer ones 5 times the F1 of the words that
// answer and reference share, after Whisper's English normaliser, rounded to whole numbers.
std::unique_ptr<Judge> built_in_judge();

// The scale and the form of AudioBench's prompt (src/dataset_src/eval_methods in AudioLLMs/AudioBench), in words of our
// own. For figures beside published ones give AudioBench's text itself.
const std::string& default_judge_prompt();

// `prompt` with {question}, {reference} and {answer} (or {prediction}) in it. Throws Error when one is missing.
std::unique_ptr<Judge> endpoint_judge(ChatEndpoint endpoint, const std::string& prompt = default_judge_prompt());

// The rating in a judge's words: the number behind the last "Rating:", else the last word. Nothing where that is no
// number from 0 to 5.
std::optional<double> parse_rating(const std::string& words);

// "builtin", or "MODEL@URL". `keys`: one for each endpoint in order, split by commas (or a single one where there is
// one endpoint); empty: none. Throws Error when they are not as many.
std::vector<std::unique_ptr<Judge>> make_judges(const std::vector<std::string>& names, const std::string& keys,
                                                const std::string& prompt = default_judge_prompt());

struct JudgeAgreement {
  std::string first, second;
  double within_one = 0;          // the share of answers whose scores differ by at most 1
  std::optional<double> pearson;  // correlation of the scores; none where a judge gives all the same score
};
// Of every pair. `scores`: of each judge, for the same answers. Throws Error when there are none.
std::vector<JudgeAgreement> judge_agreement(const std::vector<std::string>& names,
                                            const std::vector<std::vector<double>>& scores);

}  // namespace ichigo
