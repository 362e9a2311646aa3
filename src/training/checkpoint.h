// Checkpoints: one folder per saved step, written under a temporary name, fsynced and renamed, so that a run killed
// at any moment finds a whole one. RUN/checkpoint-000120/{state.safetensors,state.json}; the newest two are kept.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "weights/tensor_to_write.h"

namespace ichigo {

struct Checkpoint {
  int64_t step = 0;
  std::map<std::string, at::Tensor> tensors;
  nlohmann::json values;  // position in the data, generator states, the recipe's fingerprint
};

// Throws Error (a full disk, say) leaving older checkpoints as they were.
void save_checkpoint(const std::filesystem::path& run, const Checkpoint& checkpoint, int keep = 2);
// The same with tensors that come one by one.
void save_checkpoint(const std::filesystem::path& run, int64_t step, const std::vector<TensorToWrite>& tensors,
                     const nlohmann::json& values, int keep = 2);
// The newest whole checkpoint of a run, or nothing. Partial ones are ignored.
std::optional<Checkpoint> load_newest_checkpoint(const std::filesystem::path& run);
// Tells tensors of the same shape and type apart by what they hold.
std::string mark_of(const at::Tensor& values);
// Throws Error where the checkpoint's value "begun_from" is another: what the recipe's paths hold has changed since.
void require_same_beginning(const std::filesystem::path& run, const Checkpoint& checkpoint,
                            const std::string& begun_from);
// The same, of this recipe: its fingerprint is the checkpoint's value "recipe". Throws Error where it is another one.
std::optional<Checkpoint> load_newest_checkpoint(const std::filesystem::path& run, const std::string& fingerprint);

}  // namespace ichigo
