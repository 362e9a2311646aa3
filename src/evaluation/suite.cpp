#include "evaluation/suite.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/recipe.h"
#include "data/corpus.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<std::string> kRuns = {"questions", "transcripts", "perplexity", "tasks", "gap", "speech", "latency"};

void check_name(const std::string& name, const std::string& where) {
  const bool good = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  require(good && name[0] != '.', where, ": \"", name, "\" is no name; letters, digits, _, - and . make one");
}

SuiteEntry read_entry(RecipeNode node) {
  SuiteEntry entry{.name = node.text("name"),
                   .run = node.text("run"),
                   .inputs = node.texts("inputs"),
                   .options = node.texts("options"),
                   .compare = node.text("compare", ""),
                   .figure = node.text("figure", "")};
  entry.title = node.text("title", entry.name);
  node.finish();
  check_name(entry.name, node.where());
  std::string runs;
  for (const auto& run : kRuns) runs += (runs.empty() ? "" : ", ") + run;
  require(std::ranges::find(kRuns, entry.run) != kRuns.end(), node.where(), ": \"run\" must be one of ", runs,
          ", not \"", entry.run, "\"");
  require(entry.run == "latency" || !entry.inputs.empty(), node.where(), ": \"inputs\" is missing");
  return entry;
}

std::vector<PublishedFigure> read_published(const fs::path& path) {
  const TsvTable table = read_tsv(path);
  std::vector<PublishedFigure> figures;
  for (size_t row = 0; row < table.size(); ++row) {
    PublishedFigure figure{.benchmark = table.at(row, "benchmark"),
                           .title = table.at(row, "title"),
                           .system = table.at(row, "system"),
                           .unit = table.at(row, "unit"),
                           .source = table.at(row, "source")};
    const std::string& value = table.at(row, "value");
    const json number = json::parse(value, nullptr, false);
    require(number.is_number(), table.place(row), ": \"", value, "\" is not a number");
    figure.value = number.get<double>();
    figures.push_back(std::move(figure));
  }
  return figures;
}

std::string with_of(const SuiteEntry& entry) {
  const auto at = std::ranges::find(entry.options, "--with");
  return at != entry.options.end() && at + 1 != entry.options.end() ? *(at + 1) : "fused";
}

// Of every metric, the mean over the documents of all tasks.
std::vector<Figure> task_figures(const json& result) {
  std::map<std::string, std::pair<double, double>> sums;
  for (const auto& task : result) {
    const auto documents = task.at("documents").get<double>();
    for (const auto& [metric, score] : task.at("scores").items()) {
      sums[metric].first += documents * score.get<double>();
      sums[metric].second += documents;
    }
  }
  std::vector<Figure> figures;
  for (const auto& [metric, sum] : sums) figures.push_back({metric, 100 * sum.first / sum.second, "%"});
  return figures;
}

std::vector<Figure> speech_figures(const json& result) {
  std::vector<Figure> figures;
  for (const auto& judge : result.at("judges")) {
    figures.push_back({"rated by " + judge.at("judge").get<std::string>(), judge.at("score"), "of 100"});
  }
  for (const auto& pair : result.at("agreement")) {
    const auto names = pair.at("judges")[0].get<std::string>() + " and " + pair.at("judges")[1].get<std::string>();
    figures.push_back({names + " within one point", 100 * pair.at("within_one").get<double>(), "%"});
    if (pair.at("pearson").is_number()) figures.push_back({names + ", Pearson's correlation", pair.at("pearson"), ""});
  }
  return figures;
}

std::vector<Figure> latency_figures(const json& result) {
  std::vector<Figure> figures;
  for (const auto& item : result.at("cases")) {
    figures.push_back({concat(item.at("mode").get<std::string>(), ", ", item.at("seconds").get<double>(), " s, p50"),
                       item.at("p50_ms"), "ms"});
  }
  return figures;
}

}  // namespace

bool SuiteEntry::suits(bool model_hears) const {
  if (run == "perplexity" || run == "tasks") return true;
  const std::string with = with_of(*this);
  return with == "text" || (with == "cascade" ? !model_hears : model_hears);
}

std::vector<std::string> SuiteEntry::arguments(const std::vector<std::string>& files, const std::string& model) const {
  std::vector<std::string> all =
      run == "latency" ? std::vector<std::string>{"bench", "latency"} : std::vector<std::string>{"evaluate", run};
  for (const auto& file : files) {
    if (run == "latency") all.emplace_back("--input");
    all.push_back(file);
  }
  all.insert(all.end(), {"--model", model});
  all.insert(all.end(), options.begin(), options.end());
  all.emplace_back("--json");
  return all;
}

Suite read_suite(const fs::path& file) {
  RecipeNode node = read_recipe(file);
  Suite suite{.title = node.text("title")};
  const fs::path published = node.path("published", "");
  if (!published.empty()) suite.published = read_published(file.parent_path() / published);
  for (RecipeNode model : node.children("models")) {
    suite.models.emplace_back(model.text("name"), model.path("path").string());
    model.finish();
    check_name(suite.models.back().first, model.where());
    require(
        std::ranges::count(suite.models, suite.models.back().first, &std::pair<std::string, std::string>::first) == 1,
        model.where(), ": there are two models \"", suite.models.back().first, "\"");
  }
  std::set<std::string> names;
  for (RecipeNode child : node.children("entries")) {
    suite.entries.push_back(read_entry(child));
    const SuiteEntry& entry = suite.entries.back();
    require(names.insert(entry.name).second, child.where(), ": there are two entries \"", entry.name, "\"");
    const bool known = std::ranges::any_of(
        suite.published, [&](const PublishedFigure& figure) { return figure.benchmark == entry.compare; });
    require(entry.compare.empty() || known, child.where(), ": there is no published benchmark \"", entry.compare, "\"");
  }
  node.finish();
  require(!suite.entries.empty(), file.string(), ": there are no entries");
  return suite;
}

std::vector<Figure> figures_of(const std::string& run, const json& result) {
  std::vector<Figure> figures;
  try {
    if (run == "questions") figures = {{"right answers", 100 * result.at("accuracy").get<double>(), "%"}};
    if (run == "transcripts") figures = {{"word error rate", 100 * result.at("word_error_rate").get<double>(), "%"}};
    if (run == "perplexity") figures = {{"perplexity", result.at("perplexity"), ""}};
    if (run == "tasks") figures = task_figures(result);
    if (run == "speech") figures = speech_figures(result);
    if (run == "latency") figures = latency_figures(result);
    if (run == "gap") {
      if (result.contains("gap")) {
        figures = {{"spoken less typed", result.at("gap"), "nats/token"},
                   {"after the spoken question", result.at("spoken"), "nats/token"}};
      }
      figures.push_back({"after the typed question", result.at("typed"), "nats/token"});
    }
  } catch (const json::exception& error) {
    fail("the result of ", run, " is not of the form expected: ", error.what());
  }
  require(!figures.empty(), "the result of ", run, " has no figures");
  return figures;
}

}  // namespace ichigo
