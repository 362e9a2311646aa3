// CTranslate2's model.bin (faster-whisper folders): binary versions 5 and 6, types F32 I8 I16 I32 F16.
#pragma once
#include <memory>

#include "weights/weight_file.h"

namespace ichigo {

class Ctranslate2File : public WeightFile {
 public:
  virtual const std::string& specification() const = 0;  // "WhisperSpec"
};

// A model.bin or the folder that holds it. Aliases are listed as tensors too; int8 weights come back dequantised
// to float32 by their "NAME_scale".
std::unique_ptr<Ctranslate2File> open_ctranslate2(const std::filesystem::path& path);

}  // namespace ichigo
