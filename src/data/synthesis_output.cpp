#include "data/synthesis_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/atomic_file.h"
#include "base/error.h"
#include "data/feature_file.h"
#include "data/token_file.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

// A file that only grows, held by one process at a time.
class AppendFile {
 public:
  explicit AppendFile(const fs::path& path) : path_(path) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    check(descriptor_ >= 0);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    const int error = errno;
    ::close(descriptor_);
    require(error != EWOULDBLOCK, path.string(), " is being written by another process: wait for its end");
    fail("cannot lock ", path.string(), ": ", std::strerror(error));
  }
  ~AppendFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  int64_t size() const { return static_cast<int64_t>(fs::file_size(path_)); }
  // Forgets everything from here on; writing goes on from here.
  void cut(int64_t size) {
    check(::ftruncate(descriptor_, size) == 0);
    check(::lseek(descriptor_, size, SEEK_SET) == size);
  }
  void write(const void* data, size_t size) {
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(descriptor_, next, size);
      if (written < 0 && errno == EINTR) continue;
      check(written > 0);
      next += written;
      size -= static_cast<size_t>(written);
    }
  }
  void write(std::string_view text) { write(text.data(), text.size()); }
  void sync() { check(::fsync(descriptor_) == 0); }
  const fs::path& path() const { return path_; }

 private:
  void check(bool good) const {
    require(good, "cannot write ", path_.string(), ": ", std::strerror(errno),
            "; the rows before are whole: run the same command again to go on");
  }
  fs::path path_;
  int descriptor_ = -1;
};

// Calls visit(line without newline) for each whole line; `visit` returns false at a line that does not count.
// Cuts the file behind the last line that does and returns their number.
template <typename Visit>
int64_t keep_whole_lines(AppendFile& file, Visit visit) {
  const std::string text = read_file(file.path());
  size_t begin = 0;
  int64_t lines = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    bool good = false;
    try {
      good = visit(lines, std::string_view(text).substr(begin, end - begin));
    } catch (const std::exception& error) {
      fail(file.path().string(), ":", lines + 1, ": damaged (", error.what(), "); move the file away to begin anew");
    }
    if (!good) break;
    ++lines;
  }
  file.cut(static_cast<int64_t>(begin));
  return lines;
}

// OUTPUT.features: the frames of one clip behind those of another.
class FrameFile {
 public:
  FrameFile(const fs::path& output, int64_t width) : data_(output.string() + ".features"), width_(width) {}
  int64_t frames() const { return frames_; }
  // Counts the frames of a row that the list has. After a power cut the list may have reached the disk before the
  // data: false. Throws Error where there is nothing at all: the file was taken away.
  bool take(int64_t frames) {
    const bool there = frames <= data_.size() / bytes_per_frame() - frames_;
    require(there || data_.size() > 0, "its features are not in ", data_.path().string());
    if (there) frames_ += frames;
    return there;
  }
  // Forgets what no row has taken.
  void cut() { data_.cut(frames_ * bytes_per_frame()); }
  void write(const at::Tensor& features) {
    require(features.dim() == 2 && features.size(1) == width_ && features.scalar_type() == at::kBFloat16,
            "features must be bfloat16 [frames, ", width_, "]");
    const at::Tensor values = features.contiguous();
    data_.write(values.const_data_ptr(), values.nbytes());
    frames_ += values.size(0);
  }
  void sync() { data_.sync(); }

 private:
  int64_t bytes_per_frame() const { return width_ * static_cast<int64_t>(sizeof(at::BFloat16)); }
  AppendFile data_;
  int64_t width_, frames_ = 0;
};

class CodesOutput : public SynthesisOutput {
 public:
  // `width`: of the features that are written, too; 0: none.
  CodesOutput(const fs::path& output, int64_t first, int64_t width) : list_(output.string() + ".jsonl"), first_(first) {
    if (width > 0) features_.emplace(output, width);
    rows_ = keep_whole_lines(list_, [&](int64_t line, std::string_view text) {
      const SpeechRow row = parse_token_line(text);
      require(row.index == first + line, "its index is not ", first + line);
      auto codes = static_cast<int64_t>(row.sound.size());
      for (const auto& turn : row.earlier) codes += static_cast<int64_t>(turn.sound.size());
      return !features_ || features_->take(codes);
    });
    if (features_) features_->cut();
  }
  int64_t rows() const override { return rows_; }
  void write(const SpokenRow& spoken) override {
    const SynthesisRow& row = *spoken.row;
    const auto turn = [&](const SynthesisTurn& said, size_t number) -> SpeechTurn {
      return {said.text, said.answer, spoken.sound.empty() ? std::vector<int>() : spoken.sound.at(number), {}};
    };
    SpeechRow line{turn(row, row.earlier.size()), first_ + rows_, row.kind, spoken.voice, spoken.seconds, {}};
    for (size_t i = 0; i < row.earlier.size(); ++i) line.earlier.push_back(turn(row.earlier[i], i));
    if (features_) {
      size_t codes = 0;
      for (const auto& sound : spoken.sound) codes += sound.size();
      require(spoken.features.size(0) == static_cast<int64_t>(codes), "row ", line.index, " has ", codes,
              " codes, but the features of ", spoken.features.size(0));
      features_->write(spoken.features);
    }
    list_.write(token_file_line(line));
    ++rows_;
  }
  void sync() override {
    if (features_) features_->sync();
    list_.sync();
  }

 private:
  AppendFile list_;
  std::optional<FrameFile> features_;
  int64_t first_, rows_ = 0;
};

class FeaturesOutput : public SynthesisOutput {
 public:
  FeaturesOutput(const fs::path& output, int64_t width) : list_(output.string() + ".jsonl"), features_(output, width) {
    rows_ = keep_whole_lines(list_, [&](int64_t line, std::string_view text) {
      const FeatureClip clip = parse_feature_line(text);
      require(clip.index == line && clip.offset == features_.frames() && clip.frames >= 0,
              "its index or offset is wrong");
      return features_.take(clip.frames);
    });
    features_.cut();
  }
  int64_t rows() const override { return rows_; }
  void write(const SpokenRow& spoken) override {
    const int64_t offset = features_.frames();
    features_.write(spoken.features);
    list_.write(
        feature_line({rows_, offset, features_.frames() - offset, spoken.row->text, spoken.voice, spoken.phonemes}));
    ++rows_;
  }
  void sync() override {
    features_.sync();
    list_.sync();
  }

 private:
  AppendFile list_;
  FrameFile features_;
  int64_t rows_ = 0;
};

class AudioOutput : public SynthesisOutput {
 public:
  explicit AudioOutput(const SynthesisRecipe& recipe) : output_(recipe.output), list_(recipe.output / "list.tsv") {
    dialogues_ = std::ranges::any_of(recipe.rows, [](const auto& row) { return !row.earlier.empty(); });
    const std::string header =
        concat("path\ttext\tanswer\ttranscript\tvoice", dialogues_ ? "\tearlier\tearlier_text" : "");
    const int64_t lines = keep_whole_lines(list_, [&](int64_t line, std::string_view text) {
      if (line == 0) require(text == header, "its header is not ours");
      const bool there = line == 0 || fs::exists(synthesis_audio_path(output_, line - 1));
      require(there || line > 1, synthesis_audio_path(output_, 0).string(), " is not there");
      return there;
    });
    if (lines == 0) list_.write(header + "\n");
    rows_ = std::max<int64_t>(lines - 1, 0);
  }
  int64_t rows() const override { return rows_; }
  void write(const SpokenRow& spoken) override {
    const SynthesisRow& row = *spoken.row;
    std::string accept;
    for (const auto& key : row.accept) accept += (accept.empty() ? "" : "|") + key;
    const auto path = [&](size_t before) {
      return fs::relative(synthesis_audio_path(output_, rows_, before), output_).string();
    };
    std::string line = path(0);
    for (const std::string& cell : {row.text, accept.empty() ? row.answer : accept, row.text, spoken.voice}) {
      line += "\t" + cell;
    }
    if (dialogues_) {
      std::string paths, texts;
      for (size_t i = 0; i < row.earlier.size(); ++i) {
        paths += (i > 0 ? "|" : "") + path(row.earlier.size() - i);
        texts += (i > 0 ? "|" : "") + row.earlier[i].text;
      }
      line += "\t" + paths + "\t" + texts;
    }
    list_.write(line + "\n");
    ++rows_;
  }
  void sync() override { list_.sync(); }

 private:
  fs::path output_;
  bool dialogues_ = false;
  AppendFile list_;
  int64_t rows_ = 0;
};

}  // namespace

fs::path synthesis_audio_path(const fs::path& output, int64_t index, size_t before) {
  std::string number = std::to_string(index);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  if (before > 0) number += "_" + std::to_string(before);
  return output / "audio" / (number + ".flac");
}

std::unique_ptr<SynthesisOutput> open_synthesis_output(const SynthesisRecipe& recipe, int64_t width, int64_t first) {
  switch (recipe.kind) {
    case SynthesisKind::kCodes:
    case SynthesisKind::kText:
      return std::make_unique<CodesOutput>(recipe.output, first, recipe.with_features ? width : 0);
    case SynthesisKind::kFeatures:
    case SynthesisKind::kMel:
      return std::make_unique<FeaturesOutput>(recipe.output, width);
    default:
      return std::make_unique<AudioOutput>(recipe);
  }
}

}  // namespace ichigo
