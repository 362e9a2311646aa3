// PyTorch's zip-pickle files (.pt, .pth, .ckpt, WhisperSpeech's .model): tensors and plain containers only; any other
// pickle opcode or global is refused by name. Nothing in the file is executed.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "weights/weight_file.h"

namespace ichigo {

class TorchPickle : public WeightFile {
 public:
  // The pickled object with each tensor replaced by null: {"config": {...}, "tunables": {...}, "dims": {...}, ...}.
  // Tensors are listed by their path within it joined by dots, without a leading "state_dict." or
  // "model_state_dict." ("rq.project_in.weight").
  virtual const nlohmann::json& object() const = 0;
};

std::unique_ptr<TorchPickle> open_torch_pickle(const std::filesystem::path& path);

}  // namespace ichigo
