#include "evaluation/suite_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/plot.h"

namespace ichigo {
namespace {

using nlohmann::json;

std::string number(double value, const std::string& unit) {
  char text[64];
  const bool exact = unit.empty() || unit == "nats/token";
  std::snprintf(text, sizeof text, exact ? "%.3f" : "%.1f", value);
  return unit.empty() ? text : std::string(text) + " " + unit;
}

std::string command(const Measurement& measurement) {
  std::string text = "ichigo";
  for (const auto& argument : measurement.arguments) {
    const bool plain = argument.find_first_of(" '\"*?$&|;<>()\\`") == std::string::npos && !argument.empty();
    text += plain ? " " + argument : " '" + argument + "'";
  }
  return text;
}

// A text in a table's cell.
std::string cell(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

// The figure that is set beside published ones.
const Figure* compared_figure(const Measurement& measurement) {
  if (measurement.figures.empty()) return nullptr;
  const std::string& name = measurement.entry->figure;
  const auto found = std::ranges::find(measurement.figures, name, &Figure::name);
  if (found != measurement.figures.end()) return &*found;
  return name.empty() ? &measurement.figures.front() : nullptr;
}

struct Bar {
  std::string system, label;
  double value = 0;
  std::string unit, source;
  bool ours = false;
};

std::vector<Bar> bars_of(const Suite& suite, const std::vector<Measurement>& measurements,
                         const std::string& benchmark) {
  std::vector<Bar> bars;
  for (const auto& figure : suite.published) {
    if (figure.benchmark != benchmark) continue;
    bars.push_back({figure.system, figure.system, figure.value, figure.unit, figure.source, false});
  }
  for (const auto& measurement : measurements) {
    const Figure* figure = compared_figure(measurement);
    if (figure == nullptr || measurement.entry->compare != benchmark) continue;
    bars.push_back({concat("**", measurement.model, "** (ours: ", measurement.entry->title, "; ", figure->name, ")"),
                    measurement.model, figure->value, figure->unit, "`" + command(measurement) + "`", true});
  }
  return bars;
}

std::vector<std::string> published_benchmarks(const Suite& suite) {
  std::vector<std::string> names;
  for (const auto& figure : suite.published) {
    if (std::ranges::find(names, figure.benchmark) == names.end()) names.push_back(figure.benchmark);
  }
  return names;
}

std::string title_of(const Suite& suite, const std::string& benchmark) {
  return std::ranges::find(suite.published, benchmark, &PublishedFigure::benchmark)->title;
}

// One row for each entry and figure, one column for each model.
std::string own_table(const std::vector<Measurement>& measurements) {
  std::vector<std::string> models;
  for (const auto& measurement : measurements) {
    if (std::ranges::find(models, measurement.model) == models.end()) models.push_back(measurement.model);
  }
  std::string head = "| measured | figure |", rule = "|---|---|", rows;
  for (const auto& model : models) {
    head += " " + model + " |";
    rule += "---|";
  }
  std::vector<const SuiteEntry*> entries;
  for (const auto& measurement : measurements) {
    if (std::ranges::find(entries, measurement.entry) == entries.end()) entries.push_back(measurement.entry);
  }
  for (const SuiteEntry* entry : entries) {
    std::vector<Figure> figures;  // of any model
    for (const auto& measurement : measurements) {
      if (measurement.entry != entry) continue;
      for (const auto& figure : measurement.figures) {
        if (std::ranges::find(figures, figure.name, &Figure::name) == figures.end()) figures.push_back(figure);
      }
    }
    for (const auto& figure : figures) {
      rows += "| " + cell(entry->title) + " | " + cell(figure.name) + " |";
      for (const auto& model : models) {
        const auto at = std::ranges::find_if(
            measurements, [&](const Measurement& one) { return one.entry == entry && one.model == model; });
        std::optional<double> value;
        if (at != measurements.end()) {
          const auto found = std::ranges::find(at->figures, figure.name, &Figure::name);
          if (found != at->figures.end()) value = found->value;
        }
        rows += value ? " " + number(*value, figure.unit) + " |" : " – |";
      }
      rows += "\n";
    }
  }
  return rows.empty() ? "Nothing was measured.\n" : head + "\n" + rule + "\n" + rows;
}

}  // namespace

std::vector<std::string> compared_benchmarks(const Suite& suite, const std::vector<Measurement>& measurements) {
  auto names = published_benchmarks(suite);
  std::erase_if(names,
                [&](const auto& name) { return std::ranges::none_of(bars_of(suite, measurements, name), &Bar::ours); });
  return names;
}

std::string suite_report(const Suite& suite, const std::vector<Measurement>& measurements,
                         const std::map<std::string, std::string>& plots) {
  std::string text = "# " + suite.title + "\n\n## Measured here\n\n" + own_table(measurements);
  const auto compared = compared_benchmarks(suite, measurements);
  if (!compared.empty()) text += "\n## Beside what was published\n";
  for (const auto& benchmark : compared) {
    text += "\n### " + title_of(suite, benchmark) + "\n\n| system | figure | source |\n|---|---|---|\n";
    for (const auto& bar : bars_of(suite, measurements, benchmark)) {
      text += "| " + cell(bar.system) + " | " + number(bar.value, bar.unit) + " | " + cell(bar.source) + " |\n";
    }
    if (plots.contains(benchmark)) text += "\n![" + title_of(suite, benchmark) + "](" + plots.at(benchmark) + ")\n";
  }
  if (!compared.empty() && plots.empty()) text += "\nThere are no plots: gnuplot could not draw them.\n";

  std::string missing;
  for (const auto& measurement : measurements) {
    if (!measurement.figures.empty() && compared_figure(measurement) == nullptr) {
      missing += "- " + measurement.entry->title + ", " + measurement.model + ": there is no figure \"" +
                 measurement.entry->figure + "\" in its result\n";
    }
    if (!measurement.figures.empty()) continue;
    missing += "- " + measurement.entry->title + ", " + measurement.model + (measurement.failed ? ": failed: " : ": ") +
               measurement.problem + "\n";
  }
  for (const auto& entry : suite.entries) {
    if (std::ranges::find(measurements, &entry, &Measurement::entry) == measurements.end()) {
      missing += "- " + entry.title + ": none of the models suits it\n";
    }
  }
  for (const auto& benchmark : published_benchmarks(suite)) {
    if (std::ranges::find(compared, benchmark) == compared.end()) {
      missing += "- " + title_of(suite, benchmark) + ": published, without a figure of ours\n";
    }
  }
  text += "\n## Missing\n\n" + (missing.empty() ? "Nothing.\n" : missing) + "\n## Commands\n\n```\n";
  for (const auto& measurement : measurements) {
    if (!measurement.figures.empty()) text += command(measurement) + "\n";
  }
  return text + "```\n";
}

json suite_json(const Suite& suite, const std::vector<Measurement>& measurements) {
  json all = {{"title", suite.title}, {"measurements", json::array()}, {"published", json::array()}};
  for (const auto& measurement : measurements) {
    json row = {{"entry", measurement.entry->name}, {"model", measurement.model}, {"command", command(measurement)}};
    if (measurement.figures.empty()) row["missing"] = measurement.problem;
    for (const auto& figure : measurement.figures) row["figures"][figure.name] = figure.value;
    all["measurements"].push_back(row);
  }
  for (const auto& figure : suite.published) {
    all["published"].push_back({{"benchmark", figure.benchmark},
                                {"system", figure.system},
                                {"value", figure.value},
                                {"unit", figure.unit},
                                {"source", figure.source}});
  }
  return all;
}

std::string comparison_plot(const Suite& suite, const std::vector<Measurement>& measurements,
                            const std::string& benchmark) {
  std::string data, unit;
  for (const auto& bar : bars_of(suite, measurements, benchmark)) {
    std::string label = bar.label;
    std::erase_if(label, [](char c) { return c == '"' || c == '\\'; });
    data += concat('"', label, "\" ", bar.value, " ", bar.ours ? 2 : 1, "\n");
    unit = bar.unit;
  }
  return "$bars << EOD\n" + data +
         "EOD\nset style fill solid 0.8\nset boxwidth 0.7\nset grid y\nset yrange [0:*]\nset key top right\n"
         "set xtics rotate by -25 noenhanced\nset ylabel '" +
         unit +
         "'\nplot $bars using 0:($3 == 1 ? $2 : NaN):xtic(1) with boxes title 'published', "
         "$bars using 0:($3 == 2 ? $2 : NaN) with boxes title 'ours'\n";
}

void write_suite_report(const std::filesystem::path& folder, const Suite& suite,
                        const std::vector<Measurement>& measurements) {
  std::map<std::string, std::string> plots;
  for (const auto& benchmark : compared_benchmarks(suite, measurements)) {
    try {
      draw_plot(folder / (benchmark + ".svg"), 800, 450, comparison_plot(suite, measurements, benchmark));
      plots[benchmark] = benchmark + ".svg";
    } catch (const Error&) {
      break;  // the report says so
    }
  }
  write_file(folder / "results.json", suite_json(suite, measurements).dump(1) + "\n");
  write_file(folder / "report.md", suite_report(suite, measurements, plots));
}

}  // namespace ichigo
