// A suite: a list of measurements for one or several models, what became of each, and the published figures that they
// are set beside. Not here: running them (cli/evaluate_suite.cpp) and the report (suite_report.h).
#pragma once
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ichigo {

struct SuiteEntry {
  std::string name;                  // letters, digits, _ and -; unique
  std::string title;                 // for people
  std::string run;                   // questions, transcripts, perplexity, tasks, gap, speech or latency
  std::vector<std::string> inputs;   // files of the command, with * and ? as in a shell
  std::vector<std::string> options;  // of the command, as on the command line
  std::string compare;               // the published benchmark it is set beside; empty: none
  std::string figure;                // which figure of the result is; empty: the first

  // By --with: the cascade is measured with models that cannot hear, "text" with any, all else with those that hear.
  bool suits(bool model_hears) const;
  // The program's arguments for this model. `files`: what `inputs` stand for.
  std::vector<std::string> arguments(const std::vector<std::string>& files, const std::string& model) const;
};

struct PublishedFigure {
  std::string benchmark, title, system, unit, source;
  double value = 0;
};

struct Suite {
  std::string title;
  std::vector<std::pair<std::string, std::string>> models;  // name, path
  std::vector<SuiteEntry> entries;
  std::vector<PublishedFigure> published;
};

// Reads FILE: title, published (a TSV with the columns benchmark, title, system, value, unit, source; its path is taken
// as relative to the suite's folder), models (name, path), entries (name, title, run, inputs, options, compare,
// figure). Throws Error that names file and key.
Suite read_suite(const std::filesystem::path& file);

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;  // "%", "ms", "nats/token", "of 100" or ""
};
// The figures in what the command prints with --json, the main one first. Several tasks count as one, by documents.
// Throws Error when it is not of the form that this command prints.
std::vector<Figure> figures_of(const std::string& run, const nlohmann::json& result);

// What became of an entry with a model.
struct Measurement {
  const SuiteEntry* entry = nullptr;
  std::string model;                   // its name
  std::vector<std::string> arguments;  // of the program
  std::vector<Figure> figures;         // empty: not measured, and
  std::string problem;                 // why
  bool failed = false;                 // it was tried
};

}  // namespace ichigo
