// A benchmark of text as a task file of lm-evaluation-harness describes it (MMLU, GPQA, GSM8K): its documents and the
// prompts made of them. Only the output types multiple_choice and generate_until; what a file asks for beyond what is
// known here (Python functions, sampled examples, other metrics) is refused.
// Not here: what a model says to the prompts (text_benchmark.h).
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "evaluation/answer_filter.h"

namespace ichigo {

struct TextDocument {
  int64_t id = 0;                    // its place in the split
  std::string prompt;                // with description and examples before it
  std::vector<std::string> choices;  // multiple_choice
  size_t right_choice = 0;           // multiple_choice
  std::vector<std::string> targets;  // generate_until: each of them is right
};

struct TextTask {
  std::string name;
  bool multiple_choice = false;
  std::string target_delimiter = " ";  // between a prompt and a choice
  std::vector<TextDocument> documents;
  // multiple_choice: acc, acc_norm.
  std::vector<std::string> metrics;
  // generate_until
  std::vector<std::string> until;
  int64_t max_tokens = 256;
  std::vector<AnswerFilter> filters;
  std::function<bool(const std::string& answer, const std::string& target)> exact_match;
};

// Reads FILE (YAML, with the files it includes from its folder) and its documents: JSON lines. Files of
// dataset_kwargs.data_files are relative to `data`; the documents of a published set (dataset_path cais/mmlu,
// dataset_name anatomy) are expected as DATA/cais/mmlu/anatomy/SPLIT.jsonl (without a name: DATA/…/SPLIT.jsonl). The
// first `limit` documents, or all when it is 0. Throws Error that names file, and line or key.
TextTask read_text_task(const std::filesystem::path& file, const std::filesystem::path& data, size_t limit = 0);

}  // namespace ichigo
