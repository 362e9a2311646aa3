// Frozen encoder features of many clips, cached so that a sound tokenizer trains without running Whisper again:
// FILE.features: bfloat16, each clip's encoder output [frames at 50 Hz, width] one behind another;
// or, for the training of an encoder, each clip's log mel power before its floor [frames at 100 Hz, bands];
// FILE.jsonl: {"index":0,"offset":0,"frames":148,"text":"...","phonemes":["h","ə",...],"source":"flite:awb"} per clip.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ichigo {

struct FeatureClip {
  int64_t index = 0, offset = 0;  // offset in frames from the beginning of the file
  int64_t frames = 0;
  std::string text, source;
  std::vector<std::string> phonemes;
};

// One line of the list, and back. Throws an exception (not always Error) on a line that is not one.
FeatureClip parse_feature_line(std::string_view line);
std::string feature_line(const FeatureClip& clip);  // with its newline

class MappedFile;

class FeatureFile {
 public:
  // `path` without ending. Throws Error naming the place when list and data disagree.
  FeatureFile(const std::filesystem::path& path, int64_t width);
  const std::vector<FeatureClip>& clips() const { return clips_; }
  at::Tensor features(const FeatureClip& clip) const;  // bfloat16 [frames, width], a view
  uint64_t hash() const { return hash_; }              // of the list, and of the first and the last clip's features

 private:
  std::shared_ptr<MappedFile> data_;
  std::vector<FeatureClip> clips_;
  int64_t width_;
  uint64_t hash_ = 0;
};

}  // namespace ichigo
