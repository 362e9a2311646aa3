// Source of the layout: the GGUF specification in ggml's documentation.
#include "weights/gguf.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "text/utf8.h"
#include "weights/byte_reader.h"
#include "weights/mapped_weights.h"

namespace ichigo {
namespace {

using nlohmann::json;

// Values in metadata arrays: each takes 16 bytes, but may stand in the file as one.
uint64_t most_values(const MappedFile& file) {
  return file.bytes().size() / 4 + (uint64_t{1} << 16);
}

constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9;  // metadata types
constexpr uint64_t kAlignment = 32;  // of tensors, where the metadata do not say otherwise

struct GgufType {
  uint32_t id;
  const char* name;
  at::ScalarType dtype;
  std::optional<BlockType> blocks;
};
const GgufType kTypes[] = {{0, "F32", at::kFloat, {}},
                           {1, "F16", at::kHalf, {}},
                           {30, "BF16", at::kBFloat16, {}},
                           {2, "Q4_0", at::kFloat, BlockType::kQ4_0},
                           {3, "Q4_1", at::kFloat, BlockType::kQ4_1},
                           {6, "Q5_0", at::kFloat, BlockType::kQ5_0},
                           {7, "Q5_1", at::kFloat, BlockType::kQ5_1},
                           {8, "Q8_0", at::kFloat, BlockType::kQ8_0},
                           {12, "Q4_K", at::kFloat, BlockType::kQ4_K},
                           {14, "Q6_K", at::kFloat, BlockType::kQ6_K}};

std::string read_string(ByteReader& reader, std::string_view what) {
  const auto size = reader.number<uint64_t>(what);
  const std::string_view text = reader.text(size, what);
  if (valid_utf8_prefix(text) != text.size()) reader.error(what, " is not UTF-8");
  return std::string(text);
}

// A float as the decimal number that was meant: 1e-05, not 9.999999747378752e-06.
double shortest_decimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof(text), value);
  double decimal = value;
  if (std::isfinite(value)) std::from_chars(text, written.ptr, decimal);
  return decimal;
}

json read_scalar(ByteReader& reader, uint32_t type, const std::string& what) {
  switch (type) {
    case 0:
      return reader.number<uint8_t>(what);
    case 1:
      return reader.number<int8_t>(what);
    case 2:
      return reader.number<uint16_t>(what);
    case 3:
      return reader.number<int16_t>(what);
    case 4:
      return reader.number<uint32_t>(what);
    case 5:
      return reader.number<int32_t>(what);
    case 6:
      return shortest_decimal(reader.number<float>(what));
    case 7:
      return reader.number<uint8_t>(what) != 0;
    case kString:
      return read_string(reader, what);
    case 10:
      return reader.number<uint64_t>(what);
    case 11:
      return reader.number<int64_t>(what);
    case 12:
      return reader.number<double>(what);
    default:
      reader.error(what, " has the unknown type ", type);
  }
}

// `left`: values that arrays may still have; what is read is taken off.
json read_value(ByteReader& reader, const std::string& what, uint64_t& left) {
  const auto type = reader.number<uint32_t>(what);
  if (type != kArray) return read_scalar(reader, type, what);
  const auto element = reader.number<uint32_t>(what);
  const auto count = reader.number<uint64_t>(what);
  if (element == kArray) reader.error(what, " is an array of arrays, which is not supported");
  if (count > reader.remaining()) reader.error(what, " has ", count, " values; is the file cut off?");
  if (count > left) reader.error(what, " has ", count, " values, too many for a file of this size");
  left -= count;
  json::array_t values;
  values.reserve(std::min<uint64_t>(count, reader.remaining() / (element == kString ? 8 : 1)));
  for (uint64_t i = 0; i < count; ++i) values.push_back(read_scalar(reader, element, what));
  return values;
}

class Reader : public MappedWeights<GgufFile> {
 public:
  explicit Reader(const std::filesystem::path& path) : MappedWeights(path) {
    ByteReader reader(file_->bytes(), path.string());
    if (reader.text(4, "the magic") != "GGUF") reader.error("not a GGUF file");
    const auto version = reader.number<uint32_t>("the version");
    if (version != 2 && version != 3) reader.error("GGUF version ", version, " instead of 2 or 3");
    const auto tensors = reader.number<uint64_t>("the number of tensors");
    const auto keys = reader.number<uint64_t>("the number of metadata keys");
    metadata_ = json::object();
    uint64_t left = most_values(*file_);
    for (uint64_t i = 0; i < keys; ++i) {
      const auto key = read_string(reader, "a metadata key");
      if (metadata_.contains(key)) reader.error("the metadata key \"", key, "\" occurs twice");
      metadata_[key] = read_value(reader, "metadata \"" + key + "\"", left);
    }
    for (uint64_t i = 0; i < tensors; ++i) read_tensor(reader);
    place(reader);
  }

  const json& metadata() const override { return metadata_; }

 private:
  void read_tensor(ByteReader& reader) {
    const auto name = read_string(reader, "a tensor's name");
    const std::string where = "tensor \"" + name + "\"";
    const auto rank = reader.number<uint32_t>(where);
    if (rank < 1 || rank > 4) reader.error(where, " has ", rank, " dimensions instead of 1 to 4");
    std::vector<int64_t> shape(rank);
    for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
      *size = static_cast<int64_t>(reader.number<uint64_t>(where));
    }
    const auto elements = count_elements(shape, path().string() + ": " + where);
    const auto id = reader.number<uint32_t>(where);
    const auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.id == id; });
    if (type == std::end(kTypes)) {
      reader.error(where, " has the type number ", id,
                   "; supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q6_K");
    }
    if (type->blocks && shape.back() % block_weights(*type->blocks) != 0) {
      reader.error(where, " is ", type->name, " with ", shape.back(), " columns, not a multiple of ",
                   block_weights(*type->blocks));
    }
    const int64_t bytes = type->blocks ? blocks_bytes(*type->blocks, elements)
                                       : elements * static_cast<int64_t>(c10::elementSize(type->dtype));
    const auto offset = reader.number<uint64_t>(where);
    const StoredTensor stored{offset, static_cast<uint64_t>(bytes), type->dtype, type->blocks};
    if (!add(name, {type->name, shape}, stored)) reader.error(where, " occurs twice");
  }

  // Turns offsets within the data into offsets within the file, and checks them.
  void place(const ByteReader& reader) {
    uint64_t alignment = kAlignment;
    if (const auto found = metadata_.find("general.alignment"); found != metadata_.end()) {
      alignment = found->is_number_unsigned() ? found->get<uint64_t>() : 0;
      require(alignment > 0 && alignment <= 1 << 20 && alignment % 8 == 0, path().string(),
              ": general.alignment must be a multiple of 8");
    }
    const uint64_t begin = (reader.position() + alignment - 1) / alignment * alignment;
    const uint64_t size = file_->bytes().size();
    std::vector<std::pair<uint64_t, std::string>> order;
    for (auto& [name, stored] : stored_) {
      require(stored.offset % alignment == 0 && begin <= size && stored.offset <= size - begin &&
                  stored.bytes <= size - begin - stored.offset,
              path().string(), ": tensor \"", name, "\" needs ", stored.bytes, " bytes at offset ", stored.offset,
              " of the data, aligned to ", alignment, "; the file has ", size - std::min(begin, size),
              " bytes of data; is it cut off?");
      stored.offset += begin;
      order.emplace_back(stored.offset, name);
    }
    std::sort(order.begin(), order.end());
    for (size_t i = 1; i < order.size(); ++i) {
      require(order[i - 1].first + stored_.at(order[i - 1].second).bytes <= order[i].first, path().string(),
              ": tensors \"", order[i - 1].second, "\" and \"", order[i].second, "\" overlap");
    }
  }

  json metadata_;
};

// A growing header: numbers in little-endian order, strings with their length.
class HeaderWriter {
 public:
  template <typename T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void string(const std::string& value) {
    number<uint64_t>(value.size());
    text_ += value;
  }
  void value(const std::string& key, const json& value) {
    string(key);
    if (!value.is_array()) return number(type_of(key, value, kUint32)), scalar(value, kUint32);
    const uint32_t element = value.empty() ? kInt32 : type_of(key, value[0], kInt32);
    number(kArray);
    number(element);
    number<uint64_t>(value.size());
    for (const json& item : value) {
      require(type_of(key, item, kInt32) == element, "the GGUF metadata \"", key, "\" mix types in one array");
      scalar(item, kInt32);
    }
  }
  void align() { text_.resize((text_.size() + kAlignment - 1) / kAlignment * kAlignment); }
  const std::string& text() const { return text_; }

 private:
  static uint32_t type_of(const std::string& key, const json& value, uint32_t whole) {
    if (value.is_string()) return kString;
    if (value.is_boolean()) return kBool;
    if (value.is_number_float()) return kFloat32;
    require(value.is_number_integer() && value >= 0 && value <= INT32_MAX, "the GGUF metadata \"", key,
            "\" cannot hold ", value.dump());
    return whole;
  }
  void scalar(const json& value, uint32_t whole) {
    if (value.is_string()) return string(value.get_ref<const std::string&>());
    if (value.is_boolean()) return number<uint8_t>(value.get<bool>() ? 1 : 0);
    if (value.is_number_float()) return number(value.get<float>());
    whole == kUint32 ? number(value.get<uint32_t>()) : number(value.get<int32_t>());
  }

  std::string text_;
};

const GgufType& stored_type(const TensorToWrite& tensor) {
  const auto type = std::ranges::find_if(kTypes, [&](const GgufType& known) {
    return tensor.blocks ? known.blocks == tensor.blocks : !known.blocks && known.dtype == tensor.dtype;
  });
  require(type != std::end(kTypes), "tensor \"", tensor.name, "\": GGUF files cannot hold the type ",
          c10::toString(tensor.dtype));
  return *type;
}

}  // namespace

std::unique_ptr<GgufFile> open_gguf(const std::filesystem::path& path) {
  return std::make_unique<Reader>(path);
}

void write_gguf(const std::filesystem::path& path, const json& metadata, const std::vector<TensorToWrite>& tensors) {
  HeaderWriter header;
  header.number<uint32_t>(0x46554747);  // "GGUF"
  header.number<uint32_t>(3);
  header.number<uint64_t>(tensors.size());
  header.number<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata.items()) header.value(key, value);
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const GgufType& type = stored_type(tensor);
    header.string(tensor.name);
    header.number(static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      header.number(static_cast<uint64_t>(*size));
    header.number(type.id);
    header.number(offset);
    offset += static_cast<uint64_t>(tensor.bytes());
    offset = (offset + kAlignment - 1) / kAlignment * kAlignment;
  }
  header.align();
  AtomicFile file(path);
  file.write(header.text());
  for (const TensorToWrite& tensor : tensors) {
    const at::Tensor data = tensor.data();
    file.write(data.const_data_ptr(), data.nbytes());
    file.write(std::string((kAlignment - data.nbytes() % kAlignment) % kAlignment, '\0'));
  }
  file.commit();
}

}  // namespace ichigo
