// The report on a suite (suite.h): what was measured beside what was published, and what is missing.
#pragma once
#include <filesystem>
#include <vector>

#include "evaluation/suite.h"

namespace ichigo {

// Markdown. `plots`: of benchmarks, by name, as paths that the report can show.
std::string suite_report(const Suite& suite, const std::vector<Measurement>& measurements,
                         const std::map<std::string, std::string>& plots);
// {"title":…,"measurements":[{"entry","model","command","figures":{…}} or {…,"missing":reason}],"published":[…]}
nlohmann::json suite_json(const Suite& suite, const std::vector<Measurement>& measurements);

// Those published benchmarks of which there is a figure of ours, in the order of the published figures.
std::vector<std::string> compared_benchmarks(const Suite& suite, const std::vector<Measurement>& measurements);
// Bars of the published figures and ours, as gnuplot's commands.
std::string comparison_plot(const Suite& suite, const std::vector<Measurement>& measurements,
                            const std::string& benchmark);

// Writes FOLDER/report.md, FOLDER/results.json and a plot for each compared benchmark. Without gnuplot the report says
// that there are no plots. Throws Error.
void write_suite_report(const std::filesystem::path& folder, const Suite& suite,
                        const std::vector<Measurement>& measurements);

}  // namespace ichigo
