// Instruction text out of a language model alone, by the Magpie method (Xu et al. 2024): after a system message and the
// bare header of a user's turn the model writes what a user would ask, and then answers it. What cannot be spoken is
// left out (data/spoken_style), and what was asked before.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "assistant/sampler.h"
#include "data/spoken_style.h"
#include "models/fused_model.h"
#include "text/chat_prompt.h"

namespace ichigo {

struct DistillConfig {
  std::string system_prompt =
      "You are a voice assistant. The user asks short spoken questions about everyday life. You answer each in one "
      "short, simple sentence.";
  double temperature = 1, top_p = 0.95;  // of the question; the answer is always the most likely one
  uint64_t seed = 1;
  int64_t max_tokens = 64;  // of a question or an answer; a longer one is left out
  std::function<SpokenStyle(const std::string&)> style = spoken_style;

  void validate() const;  // throws Error
};

struct DistilledRow {
  std::string question, answer;  // both empty when refused
  std::string refused;           // why
};

class Distiller {
 public:
  Distiller(FusedModel model, DistillConfig config);  // throws Error
  // The same for the same seed and number, whatever was made before.
  DistilledRow attempt(int64_t number);
  const DistillConfig& config() const { return config_; }

 private:
  // The line behind the prompt in spoken style; refused where it does not end in time or a second line begins.
  SpokenStyle line_behind(const std::vector<int64_t>& prompt, Sampler& sampler);

  FusedModel model_;
  DistillConfig config_;
  ChatPrompt prompt_;
  std::vector<int64_t> opening_, stops_;
  std::vector<std::pair<int64_t, int64_t>> sounds_;  // ids that are never written, as ranges
  KeyValueCache cache_;  // of cached_: what the next prompt begins with alike is not computed again
  std::vector<int64_t> cached_;
};

struct DistillOptions {
  int64_t attempts = 1000;  // in all, those of stopped runs included
  double seconds = 0;       // stop after so many; 0: not
  std::string model;        // its name, which a run that goes on must share
};

struct DistillResult {
  int64_t attempts = 0, rows = 0;          // in the file
  int64_t attempts_now = 0, rows_now = 0;  // of this run
  std::map<std::string, int64_t> refused;  // of this run, by reason
  double seconds = 0;
};

// Writes `output`, a table with columns question and answer (as data/instructions.tsv), replaced as a whole from time
// to time; its first line says how far it is, and the next run goes on from there. Stops early at a signal. Throws
// Error when the file is another one's: of other settings, or not made here.
DistillResult distill(Distiller& distiller, const std::filesystem::path& output, const DistillOptions& options);

}  // namespace ichigo
