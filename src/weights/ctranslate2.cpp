// Source of the layout: CTranslate2's own reader; version 6 differs from 5 only in what the model folder holds beside.
#include "weights/ctranslate2.h"

#include <ATen/ATen.h>

#include "weights/byte_reader.h"
#include "weights/mapped_weights.h"

namespace ichigo {
namespace {

constexpr std::pair<const char*, at::ScalarType> kTypes[] = {
    {"F32", at::kFloat}, {"I8", at::kChar}, {"I16", at::kShort}, {"I32", at::kInt}, {"F16", at::kHalf}};

std::string read_string(ByteReader& reader, std::string_view what) {
  const auto size = reader.number<uint16_t>(what);
  const auto text = reader.text(size, what);
  if (text.empty() || text.back() != '\0') reader.error(what, " does not end with a zero byte");
  return std::string(text.substr(0, text.size() - 1));
}

class Reader : public MappedWeights<Ctranslate2File> {
 public:
  explicit Reader(const std::filesystem::path& path) : MappedWeights(path) {
    ByteReader reader(file_->bytes(), path.string());
    const auto version = reader.number<uint32_t>("the version");
    if (version != 5 && version != 6) reader.error("CTranslate2 version ", version, " instead of 5 or 6");
    specification_ = read_string(reader, "the specification's name");
    reader.number<uint32_t>("the revision");
    const auto count = reader.number<uint32_t>("the number of variables");
    for (uint32_t i = 0; i < count; ++i) read_variable(reader);
    const auto aliases = reader.number<uint32_t>("the number of aliases");
    for (uint32_t i = 0; i < aliases; ++i) {
      const auto alias = read_string(reader, "an alias");
      const auto name = read_string(reader, "an alias's variable");
      if (!contains(name)) reader.error("alias \"", alias, "\" of the missing variable \"", name, "\"");
      if (!add(alias, tensors_.at(name), stored_.at(name))) reader.error("\"", alias, "\" occurs twice");
    }
    if (reader.remaining() > 0) reader.error(reader.remaining(), " bytes too many at the end");
    check_scales();
  }

  const std::string& specification() const override { return specification_; }

  at::Tensor load(const std::string& name) const override {
    const at::Tensor stored = MappedWeights::load(name);
    const auto scale = scales_.find(name);
    if (scale == scales_.end()) return stored;
    std::vector<int64_t> shape(static_cast<size_t>(stored.dim()), 1);
    at::Tensor factor = MappedWeights::load(scale->second);
    if (factor.numel() > 1) shape[0] = factor.numel();
    return stored.to(at::kFloat) / factor.reshape(shape);
  }
  at::Tensor load_as(const std::string& name, at::ScalarType dtype) const override { return load(name).to(dtype); }

 private:
  void read_variable(ByteReader& reader) {
    const auto name = read_string(reader, "a variable's name");
    const std::string where = "variable \"" + name + "\"";
    const auto rank = reader.number<uint8_t>(where);
    if (rank > kMaxRank) reader.error(where, " has ", int{rank}, " dimensions, more than ", kMaxRank);
    std::vector<int64_t> shape(rank);
    for (auto& size : shape) size = reader.number<uint32_t>(where);
    const auto type = reader.number<uint8_t>(where);
    if (type >= std::size(kTypes)) reader.error(where, " has the unknown type ", int{type});
    const auto bytes = reader.number<uint32_t>(where);
    const auto elements = count_elements(shape, path().string() + ": " + where);
    const auto [type_name, dtype] = kTypes[type];
    if (static_cast<uint64_t>(elements) * c10::elementSize(dtype) != bytes) {
      reader.error(where, " has ", bytes, " bytes, which is not ", type_name, " of shape ", shape_text(shape));
    }
    const StoredTensor stored{reader.position(), bytes, dtype, std::nullopt};
    reader.take(bytes, where);
    if (!add(name, {type_name, shape}, stored)) reader.error(where, " occurs twice");
  }

  void check_scales() {
    for (const auto& [name, info] : tensors_) {
      if (info.type != "I8" && info.type != "I16") continue;
      const auto scale = tensors_.find(name + "_scale");
      if (scale == tensors_.end()) continue;
      const auto count = count_elements(scale->second.shape, name);
      require(scale->second.type == "F32" && (count == 1 || (!info.shape.empty() && count == info.shape[0])),
              path().string(), ": \"", scale->first, "\" must be one F32 or one for each row of ",
              shape_text(info.shape), ", not ", scale->second.type, " ", shape_text(scale->second.shape));
      scales_[name] = scale->first;
    }
  }

  std::string specification_;
  std::map<std::string, std::string> scales_;  // weight -> its scale
};

}  // namespace

std::unique_ptr<Ctranslate2File> open_ctranslate2(const std::filesystem::path& path) {
  return std::make_unique<Reader>(std::filesystem::is_directory(path) ? path / "model.bin" : path);
}

}  // namespace ichigo
