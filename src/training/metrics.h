// Metrics as JSON lines (RUN/metrics.jsonl), cut back to the checkpoint when a run resumes, and drawn as SVG curves.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/folder_lock.h"

namespace ichigo {

class MetricsLog {
 public:
  // Opens RUN/metrics.jsonl, dropping lines whose "step" is `resume_step` or later. Throws Error when another training
  // writes into RUN.
  MetricsLog(const std::filesystem::path& run, int64_t resume_step);
  void write(const nlohmann::json& line);  // one object with "step"; flushed

 private:
  std::filesystem::path path_;
  FolderLock lock_;
};

// The steps of RUN/metrics.jsonl in order; lines that are none (cut off by a kill) are left out. Throws Error.
std::vector<nlohmann::json> read_metrics(const std::filesystem::path& run);
// Draws every numeric key of RUN/metrics.jsonl over "step" into RUN/curves.svg with gnuplot. Throws Error without it.
std::filesystem::path plot_metrics(const std::filesystem::path& run);

}  // namespace ichigo
