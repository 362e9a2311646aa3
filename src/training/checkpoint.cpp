#include "training/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/random.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "checkpoint-";
constexpr const char* kTensors = "state.safetensors";
constexpr const char* kValues = "state.json";

fs::path checkpoint_path(const fs::path& run, int64_t step) {
  char name[64];
  std::snprintf(name, sizeof name, "%s%06lld", kPrefix, static_cast<long long>(step));
  return run / name;
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// Finished checkpoints and their steps, newest first.
std::vector<std::pair<int64_t, fs::path>> list_checkpoints(const fs::path& run) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const std::string digits = name.substr(std::string(kPrefix).size());
    const bool number = !digits.empty() && digits.size() < 16 && std::all_of(digits.begin(), digits.end(), [](char c) {
      return std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
    if (number && fs::exists(entry.path() / kTensors) && fs::exists(entry.path() / kValues)) {
      found.emplace_back(std::stoll(digits), entry.path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

Checkpoint read_checkpoint(int64_t step, const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  const auto values = folder / kValues;
  checkpoint.values = nlohmann::json::parse(read_file(values), nullptr, false);
  require(checkpoint.values.is_object(), values.string(), " is not a JSON object");
  const auto weights = open_safetensors(folder / kTensors);
  for (const auto& [name, info] : weights->tensors()) checkpoint.tensors[name] = weights->load(name);
  return checkpoint;
}

}  // namespace

void save_checkpoint(const fs::path& run, const Checkpoint& checkpoint, int keep) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors) tensors.push_back({name, tensor, std::nullopt});
  save_checkpoint(run, checkpoint.step, tensors, checkpoint.values, keep);
}

void save_checkpoint(const fs::path& run, int64_t step, const std::vector<TensorToWrite>& tensors,
                     const nlohmann::json& values, int keep) {
  const fs::path final_path = checkpoint_path(run, step);
  const fs::path partial = final_path.string() + ".part";
  std::error_code error;
  fs::remove_all(partial, error);
  fs::create_directories(partial, error);
  require(!error, "cannot create ", partial.string(), ": ", error.message());
  try {
    write_safetensors(partial / kTensors, tensors);
    write_file(partial / kValues, values.dump(1) + "\n");
  } catch (...) {
    fs::remove_all(partial, error);
    throw;
  }
  sync_folder(partial);
  fs::remove_all(final_path, error);  // the same step again
  fs::rename(partial, final_path, error);
  require(!error, "cannot rename ", partial.string(), " to ", final_path.string(), ": ", error.message());
  sync_folder(run);
  const auto all = list_checkpoints(run);
  for (size_t i = std::max(keep, 1); i < all.size(); ++i) fs::remove_all(all[i].second, error);
}

std::optional<Checkpoint> load_newest_checkpoint(const fs::path& run) {
  const auto all = list_checkpoints(run);
  std::optional<Error> first_error;
  for (const auto& [step, folder] : all) {
    try {
      return read_checkpoint(step, folder);
    } catch (const Error& error) {
      if (!first_error) first_error = error;
    }
  }
  // Starting over would overwrite what may still be mended.
  if (first_error)
    fail(first_error->what(), "; no checkpoint of ", run.string(), " can be read: remove them to start over");
  return std::nullopt;
}

std::optional<Checkpoint> load_newest_checkpoint(const fs::path& run, const std::string& fingerprint) {
  auto checkpoint = load_newest_checkpoint(run);
  require(!checkpoint || checkpoint->values.value("recipe", "") == fingerprint, "the checkpoints in ", run.string(),
          " belong to a recipe with other values; use another \"output\" or remove them");
  return checkpoint;
}

std::string mark_of(const at::Tensor& values) {
  const at::Tensor whole = values.detach().cpu().contiguous();
  return concat(stable_hash({static_cast<const char*>(whole.const_data_ptr()), whole.nbytes()}));
}

void require_same_beginning(const fs::path& run, const Checkpoint& checkpoint, const std::string& begun_from) {
  require(checkpoint.values.value("begun_from", "") == begun_from, "the checkpoints in ", run.string(),
          " began from other weights or other speech than the recipe's files hold now; use another \"output\" or remove "
          "them");
}

}  // namespace ichigo
