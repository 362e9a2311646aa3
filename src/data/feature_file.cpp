#include "data/feature_file.h"

#include <ATen/ops/from_blob.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "base/random.h"

namespace ichigo {
namespace {

std::filesystem::path with_ending(const std::filesystem::path& path, const char* ending) {
  return path.string() + ending;
}

}  // namespace

FeatureClip parse_feature_line(std::string_view line) {
  const auto json = nlohmann::json::parse(line);
  FeatureClip clip;
  clip.index = json.at("index").get<int64_t>();
  clip.offset = json.at("offset").get<int64_t>();
  clip.frames = json.at("frames").get<int64_t>();
  clip.text = json.at("text").get<std::string>();
  clip.phonemes = json.at("phonemes").get<std::vector<std::string>>();
  clip.source = json.at("source").get<std::string>();
  return clip;
}

std::string feature_line(const FeatureClip& clip) {
  nlohmann::ordered_json json;
  json["index"] = clip.index;
  json["offset"] = clip.offset;
  json["frames"] = clip.frames;
  json["text"] = clip.text;
  json["phonemes"] = clip.phonemes;
  json["source"] = clip.source;
  return json.dump() + "\n";
}

FeatureFile::FeatureFile(const std::filesystem::path& path, int64_t width) : width_(width) {
  require(width > 0, "the width of features must be positive, not ", width);
  const auto list = with_ending(path, ".jsonl");
  data_ = std::make_shared<MappedFile>(with_ending(path, ".features"));
  const auto bytes_per_frame = width * static_cast<int64_t>(sizeof(at::BFloat16));
  const auto available = static_cast<int64_t>(data_->bytes().size()) / bytes_per_frame;
  const std::string text = read_file(list);
  std::string_view rest = text;
  int64_t frames = 0;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    const std::string place = concat(list.string(), ":", clips_.size() + 1);
    try {
      clips_.push_back(parse_feature_line(rest.substr(0, end)));
    } catch (const std::exception& error) {
      fail(place, ": not a row of a feature list: ", error.what());
    }
    const auto& clip = clips_.back();
    require(clip.offset == frames, place, ": the clip begins at frame ", clip.offset, " instead of ", frames);
    require(clip.frames >= 0 && clip.frames <= available - frames, place, ": the clip has ", clip.frames,
            " frames, but only ", available - frames, " of width ", width, " are left in ", data_->path().string());
    frames += clip.frames;
  }
  require(frames * bytes_per_frame == static_cast<int64_t>(data_->bytes().size()), data_->path().string(), " has ",
          data_->bytes().size(), " bytes, but the clips that ", list.string(), " lists take ", frames * bytes_per_frame,
          " at width ", width, ": it was made with another width, or its synthesis was stopped (run that again)");
  hash_ = stable_hash(text);
  if (clips_.empty()) return;
  for (const FeatureClip& clip : {clips_.front(), clips_.back()}) {
    const at::Tensor values = features(clip);
    hash_ = hash_ * 31 + stable_hash({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
  }
}

at::Tensor FeatureFile::features(const FeatureClip& clip) const {
  const auto* begin = reinterpret_cast<const at::BFloat16*>(data_->bytes().data()) + clip.offset * width_;
  return at::from_blob(
      const_cast<at::BFloat16*>(begin), {clip.frames, width_}, [data = data_](void*) {},
      at::TensorOptions(at::kBFloat16));
}

}  // namespace ichigo
