// Source of the layout: what torch.save writes since PyTorch 1.6: NAME/data.pkl, and NAME/data/KEY for each storage.
#include "weights/torch_pickle.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "weights/mapped_weights.h"
#include "weights/pickle.h"
#include "weights/zip_file.h"

namespace ichigo {
namespace {

using nlohmann::json;
using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 32;
constexpr int64_t kMaxVisits = 1'000'000;  // objects, counting a shared one each time

struct StorageType {
  std::string_view global;
  const char* name;
  at::ScalarType dtype;
};
constexpr StorageType kTypes[] = {
    {"torch.FloatStorage", "F32", at::kFloat},        {"torch.HalfStorage", "F16", at::kHalf},
    {"torch.BFloat16Storage", "BF16", at::kBFloat16}, {"torch.DoubleStorage", "F64", at::kDouble},
    {"torch.LongStorage", "I64", at::kLong},          {"torch.IntStorage", "I32", at::kInt},
    {"torch.ShortStorage", "I16", at::kShort},        {"torch.CharStorage", "I8", at::kChar},
    {"torch.ByteStorage", "U8", at::kByte},           {"torch.BoolStorage", "BOOL", at::kBool}};

class Reader : public MappedWeights<TorchPickle> {
 public:
  explicit Reader(const std::filesystem::path& path) : MappedWeights(path), entries_(read_zip_directory(*file_)) {
    for (const auto& [name, entry] : entries_) {
      if (!name.ends_with("/data.pkl")) continue;
      require(prefix_.empty(), path.string(), " holds two pickles");
      prefix_ = name.substr(0, name.size() - std::string_view("data.pkl").size());
    }
    require(!prefix_.empty(), path.string(), " is a zip file, but not one that torch.save wrote: it has no data.pkl");
    if (const auto order = entries_.find(prefix_ + "byteorder"); order != entries_.end()) {
      require(text(order->second) == "little", path.string(), " was written on a big-endian machine");
    }
    const auto& entry = entries_.at(prefix_ + "data.pkl");
    const Pickle pickle =
        read_pickle(file_->bytes().subspan(entry.offset, entry.size), path.string() + " (" + prefix_ + "data.pkl)");
    require(pickle.root->kind == Kind::kDictionary, path.string(), " does not hold a dictionary");
    object_ = convert(*pickle.root, "", 0);
  }

  const json& object() const override { return object_; }

  at::Tensor load(const std::string& name) const override {
    const auto& [info, stored] = find(name);
    const auto& strides = strides_.at(name);
    const at::Tensor storage =
        mapped_tensor(file_, stored, {static_cast<int64_t>(stored.bytes / c10::elementSize(stored.dtype))});
    return storage.as_strided(info.shape, strides).contiguous();
  }
  at::Tensor load_as(const std::string& name, at::ScalarType dtype) const override { return load(name).to(dtype); }

 private:
  std::string_view text(const ZipEntry& entry) const {
    return {reinterpret_cast<const char*>(file_->bytes().data()) + entry.offset, entry.size};
  }

  json convert(const PickleValue& value, const std::string& place, int depth) {
    require(depth <= kMaxDepth, path().string(), ": the pickled object is nested deeper than ", kMaxDepth);
    // Texts may be shared: their copies, and the places made of them, must stay in proportion to the file.
    copied_ += value.text.size() + place.size();
    require(++visits_ <= kMaxVisits && copied_ <= 4 * file_->bytes().size() + (size_t{1} << 20), path().string(),
            ": the pickled object is too large");
    const auto inner = [&](const std::string& key) { return place.empty() ? key : place + "." + key; };
    switch (value.kind) {
      case Kind::kNone:
        return nullptr;
      case Kind::kBool:
        return value.integer != 0;
      case Kind::kInteger:
        return value.integer;
      case Kind::kFloat:
        return value.number;
      case Kind::kString:
        return value.text;
      case Kind::kList:
      case Kind::kTuple: {
        json list = json::array();
        for (size_t i = 0; i < value.items.size(); ++i) {
          list.push_back(convert(*value.items[i], inner(std::to_string(i)), depth + 1));
        }
        return list;
      }
      case Kind::kDictionary: {
        json dictionary = json::object();
        for (size_t i = 0; i < value.items.size(); i += 2) {
          const std::string key = key_text(*value.items[i], place);
          const bool states = depth == 0 && (key == "state_dict" || key == "model_state_dict");
          dictionary[key] = convert(*value.items[i + 1], states ? "" : inner(key), depth + 1);
        }
        return dictionary;
      }
      case Kind::kTensor:
        add_tensor(value, place);
        return nullptr;
      default:
        fail(path().string(), ": \"", place, "\" is neither a tensor nor a plain value");
    }
  }

  std::string key_text(const PickleValue& key, const std::string& place) const {
    if (key.kind == Kind::kString) return key.text;
    require(key.kind == Kind::kInteger, path().string(), ": a key of \"", place,
            "\" is neither a string nor a whole number");
    return std::to_string(key.integer);
  }

  std::vector<int64_t> sizes(const PickleValue& tuple, const std::string& where) const {
    require(tuple.items.size() <= kMaxRank, where, " has ", tuple.items.size(), " dimensions, more than ", kMaxRank);
    std::vector<int64_t> values;
    for (const PickleValue* item : tuple.items) {
      require(item->kind == Kind::kInteger && item->integer >= 0, where, " has a size or stride that is none");
      values.push_back(item->integer);
    }
    return values;
  }

  void add_tensor(const PickleValue& tensor, const std::string& name) {
    const std::string where = path().string() + ": tensor \"" + name + "\"";
    const auto& id = tensor.items[0]->items;
    const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const StorageType& candidate) { return candidate.global == id[1]->text; });
    require(type != std::end(kTypes), where, " has the unknown storage type \"", id[1]->text, "\"");
    const auto entry = entries_.find(prefix_ + "data/" + id[2]->text);
    require(id[2]->kind == Kind::kString && entry != entries_.end(), where, " has no data: \"", prefix_, "data/",
            id[2]->text, "\" is missing");

    const auto shape = sizes(*tensor.items[2], where);
    const auto strides = sizes(*tensor.items[3], where);
    const auto item = static_cast<int64_t>(c10::elementSize(type->dtype));
    const auto available = static_cast<int64_t>(entry->second.size) / item;
    const int64_t count = count_elements(shape, where);
    const int64_t offset = tensor.items[1]->integer;
    require(strides.size() == shape.size() && offset >= 0 && offset <= available && count <= available - offset, where,
            " of shape ", shape_text(shape), " at offset ", offset, " does not fit its storage of ", available,
            " elements");
    int64_t last = offset;
    for (size_t i = 0; i < shape.size() && count > 0; ++i) {
      require(shape[i] == 1 || strides[i] <= (available - 1 - last) / (shape[i] - 1), where, " of shape ",
              shape_text(shape), " and strides ", shape_text(strides), " reaches beyond its storage of ", available,
              " elements");
      last += (shape[i] - 1) * strides[i];
    }
    const uint64_t begin = static_cast<uint64_t>(offset * item);
    const StoredTensor stored{entry->second.offset + begin, static_cast<uint64_t>(available * item) - begin,
                              type->dtype, std::nullopt};
    require(add(name, {type->name, shape}, stored), where, " occurs twice");
    strides_[name] = strides;
  }

  std::map<std::string, ZipEntry> entries_;
  std::string prefix_;
  std::map<std::string, std::vector<int64_t>> strides_;
  int64_t visits_ = 0;
  size_t copied_ = 0;  // bytes
  json object_;
};

}  // namespace

std::unique_ptr<TorchPickle> open_torch_pickle(const std::filesystem::path& path) {
  return std::make_unique<Reader>(path);
}

}  // namespace ichigo
