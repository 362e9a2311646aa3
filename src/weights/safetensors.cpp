// Source of the layout: the safetensors format description; its rules (sorted, no gaps, no overlap) are enforced.
#include "weights/safetensors.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "text/json_text.h"
#include "weights/byte_reader.h"
#include "weights/mapped_weights.h"

namespace ichigo {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference implementation limits it
constexpr std::string_view kBlocksKey = "ichigo.blocks";
constexpr const char* kIndexName = "model.safetensors.index.json";

constexpr std::pair<std::string_view, at::ScalarType> kTypes[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat},  {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
    {"I32", at::kInt},    {"I16", at::kShort},  {"I8", at::kChar},  {"U8", at::kByte},       {"U16", at::kUInt16},
    {"U32", at::kUInt32}, {"U64", at::kUInt64}, {"BOOL", at::kBool}};

std::vector<int64_t> parse_sizes(const json& entry, const char* key, const std::string& where) {
  const auto found = entry.find(key);
  require(found != entry.end() && found->is_array(), where, " has no list \"", key, "\"");
  require(found->size() <= kMaxRank, where, ": \"", key, "\" has ", found->size(), " entries, more than ", kMaxRank);
  std::vector<int64_t> sizes;
  for (const json& size : *found) {
    require(size.is_number_unsigned() && size.get<uint64_t>() <= uint64_t{1} << 48, where, ": \"", key, "\" holds ",
            size.dump(), ", not a size");
    sizes.push_back(size.get<int64_t>());
  }
  return sizes;
}

class Reader : public MappedWeights<WeightFile> {
 public:
  explicit Reader(const std::filesystem::path& path) : MappedWeights(path) {
    const std::string file = path.string();
    ByteReader reader(file_->bytes(), file);
    const auto size = reader.number<uint64_t>("the header's length");
    require(size <= kMaxHeader && size <= reader.remaining(), file, ": the header claims ", size,
            " bytes, but the file has ", reader.remaining(), " more; is it cut off or no safetensors file?");
    const json header = parse_json_object(reader.text(size, "the header"), file + ": the header", JsonKeys::kUnique);
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") read_tensor(name, entry, reader.position());
    }
    check_places(reader.position());
    if (const auto texts = header.find("__metadata__"); texts != header.end()) read_metadata(*texts);
  }
  const std::map<std::string, std::string>& metadata_texts() const override { return metadata_; }

 private:
  void read_tensor(const std::string& name, const json& entry, uint64_t begin) {
    const std::string where = path().string() + ": tensor \"" + name + "\"";
    require(entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string(), where, " has no \"dtype\"");
    const auto type_name = entry["dtype"].get<std::string>();
    const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const auto& candidate) { return candidate.first == type_name; });
    require(type != std::end(kTypes), where, " has the unknown dtype \"", type_name, "\"");
    const auto shape = parse_sizes(entry, "shape", where);
    const auto offsets = parse_sizes(entry, "data_offsets", where);
    const auto available = static_cast<int64_t>(file_->bytes().size() - begin);
    require(offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= available, where, " has data_offsets ",
            shape_text(offsets), ", expected [begin, end] within the ", available,
            " bytes of data; is the file cut off?");
    const int64_t expected = count_elements(shape, where) * static_cast<int64_t>(c10::elementSize(type->second));
    require(offsets[1] - offsets[0] == expected, where, " has ", offsets[1] - offsets[0], " bytes; ", type_name,
            " of shape ", shape_text(shape), " needs ", expected);
    add(name, {type_name, shape},
        {begin + static_cast<uint64_t>(offsets[0]), static_cast<uint64_t>(expected), type->second, std::nullopt});
  }

  void check_places(uint64_t begin) const {
    std::vector<std::tuple<uint64_t, uint64_t, std::string>> order;
    for (const auto& [name, stored] : stored_) order.emplace_back(stored.offset, stored.bytes, name);
    std::sort(order.begin(), order.end());
    uint64_t next = begin;
    for (const auto& [offset, bytes, name] : order) {
      require(offset == next, path().string(), ": tensor \"", name, "\" begins at offset ", offset - begin,
              " of the data, expected ", next - begin, ": tensors must neither overlap nor leave gaps");
      next += bytes;
    }
    require(next == file_->bytes().size(), path().string(), ": the tensors end at byte ", next, ", the file at ",
            file_->bytes().size());
  }

  void read_metadata(const json& texts) {
    const std::string file = path().string();
    require(texts.is_object(), file, ": __metadata__ is not an object");
    for (const auto& [name, text] : texts.items()) {
      require(text.is_string(), file, ": metadata \"", name, "\" is not a string");
      metadata_[name] = text.get<std::string>();
    }
    if (const auto found = metadata_.find(std::string(kBlocksKey)); found != metadata_.end())
      read_blocks(found->second);
  }

  void read_blocks(const std::string& text) {
    const std::string where = path().string() + ": metadata \"" + std::string(kBlocksKey) + "\"";
    const json blocks = parse_json_object(text, where, JsonKeys::kUnique);
    for (const auto& [name, entry] : blocks.items()) {
      const std::string which = where + ", tensor \"" + name + "\"";
      require(contains(name), which, " is not in the file");
      require(entry.is_object() && entry.contains("type") && entry["type"].is_string(), which, " has no \"type\"");
      const auto type = parse_block_type(entry["type"].get<std::string>());
      require(type.has_value(), which, " has the unknown type ", entry["type"].dump());
      const auto shape = parse_sizes(entry, "shape", which);
      auto& info = tensors_.at(name);
      require(shape.size() == 2 && shape[1] % block_weights(*type) == 0 && info.type == "U8" &&
                  info.shape == std::vector{shape[0], blocks_bytes(*type, shape[1])},
              which, ": ", info.type, " ", shape_text(info.shape), " cannot hold ", block_name(*type), " of shape ",
              shape_text(shape));
      info = {block_name(*type), shape};
      stored_.at(name).blocks = type;
    }
  }

  std::map<std::string, std::string> metadata_;
};

class ShardedReader : public WeightFile {
 public:
  explicit ShardedReader(const std::filesystem::path& path) : path_(path) {
    const json index = parse_json_object(read_file(path), path.string(), JsonKeys::kUnique);
    const auto map = index.find("weight_map");
    require(map != index.end() && map->is_object(), path.string(), " has no object \"weight_map\"");
    for (const auto& [name, file] : map->items()) {
      require(file.is_string(), path.string(), ": \"", name, "\" names no file");
      const auto shard = file.get<std::string>();
      require(!shard.empty() && shard.find('/') == std::string::npos, path.string(), ": \"", shard,
              "\" is not a file name beside it");
      auto& reader = shards_[shard];
      if (!reader) reader = std::make_unique<Reader>(path.parent_path() / shard);
      const auto found = reader->tensors().find(name);
      require(found != reader->tensors().end(), reader->path().string(), " has no tensor \"", name, "\", which ",
              path.string(), " expects there");
      tensors_.insert(*found);
      places_[name] = reader.get();
    }
  }
  const std::filesystem::path& path() const override { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor load(const std::string& name) const override { return shard(name).load(name); }
  at::Tensor load_as(const std::string& name, at::ScalarType dtype) const override {
    return shard(name).load_as(name, dtype);
  }
  MatrixRows matrix_rows(const std::string& name) const override { return shard(name).matrix_rows(name); }
  void release(const std::string& name) const override { shard(name).release(name); }

 private:
  const Reader& shard(const std::string& name) const {
    const auto found = places_.find(name);
    require(found != places_.end(), path_.string(), " has no tensor \"", name, "\"");
    return *found->second;
  }

  std::filesystem::path path_;
  std::map<std::string, std::unique_ptr<Reader>> shards_;
  std::map<std::string, const Reader*> places_;
  std::map<std::string, TensorInfo> tensors_;
};

std::string_view type_name(const TensorToWrite& item) {
  for (const auto& [name, type] : kTypes) {
    if (type == item.dtype) return name;
  }
  fail("tensor \"", item.name, "\" has the type ", item.dtype, ", which safetensors does not know");
}

std::string header_text(const std::vector<TensorToWrite>& tensors, std::map<std::string, std::string> metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = nullptr;
  json blocks = json::object();
  int64_t offset = 0;
  for (const auto& item : tensors) {
    require(item.name != "__metadata__" && !header.contains(item.name), "two tensors are named \"", item.name, "\"");
    std::vector<int64_t> shape = item.shape;
    const int64_t end = offset + item.bytes();
    std::string type(item.blocks ? "U8" : type_name(item));
    if (item.blocks) {
      blocks[item.name] = {{"type", block_name(*item.blocks)}, {"shape", shape}};
      shape[1] = blocks_bytes(*item.blocks, shape[1]);
    }
    header[item.name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  if (!blocks.empty()) metadata[std::string(kBlocksKey)] = blocks.dump();
  metadata.emplace("format", "pt");
  header["__metadata__"] = metadata;
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

// The index first: without it the rest is no model.
void remove_weights(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) return;
  std::filesystem::remove(folder / kIndexName);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name == "model.safetensors" || (name.starts_with("model-") && name.ends_with(".safetensors"))) {
      files.push_back(entry.path());
    }
  }
  for (const auto& file : files) std::filesystem::remove(file);
}

}  // namespace

std::unique_ptr<WeightFile> open_safetensors(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    if (std::filesystem::exists(path / "model.safetensors")) return open_safetensors(path / "model.safetensors");
    require(std::filesystem::exists(path / kIndexName), path.string(), " holds neither model.safetensors nor ",
            kIndexName);
    return std::make_unique<ShardedReader>(path / kIndexName);
  }
  if (path.extension() == ".json") return std::make_unique<ShardedReader>(path);
  return std::make_unique<Reader>(path);
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_text(tensors, metadata);
  AtomicFile file(path);
  const uint64_t size = header.size();
  file.write(&size, sizeof(size));
  file.write(header);
  for (const auto& item : tensors) {
    const at::Tensor data = item.data();
    file.write(data.const_data_ptr(), data.nbytes());
  }
  file.commit();
}

void write_sharded_safetensors(const std::filesystem::path& folder, const std::vector<TensorToWrite>& tensors,
                               int64_t shard_bytes) {
  remove_weights(folder);
  std::vector<std::vector<TensorToWrite>> shards(1);
  int64_t size = 0, total = 0;
  for (const auto& item : tensors) {
    const int64_t bytes = item.bytes();
    if (size > 0 && size + bytes > shard_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().push_back(item);
    size += bytes;
    total += bytes;
  }
  if (shards.size() == 1) {
    write_safetensors(folder / "model.safetensors", tensors);
    return;
  }
  json map = json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    write_safetensors(folder / name, shards[i]);
    for (const auto& item : shards[i]) {
      require(!map.contains(item.name), "two tensors are named \"", item.name, "\"");
      map[item.name] = name;
    }
  }
  write_file(folder / kIndexName, json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n");
}

}  // namespace ichigo
