#include "weights/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files.h"
#include "golden.h"

namespace ichigo {
namespace {

TEST(Safetensors, RoundTripInEveryType) {
  const test::TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble, at::kLong, at::kInt, at::kShort, at::kChar,
                          at::kByte, at::kBool}) {
    tensors.push_back({"t" + std::to_string(tensors.size()), at::randn({3, 5}).mul(3).to(type), {}});
  }
  tensors.push_back({"scalar", at::scalar_tensor(7.5), {}});
  tensors.push_back({"empty", at::zeros({0, 4}), {}});
  tensors.push_back({"transposed", at::randn({4, 6}).t(), {}});
  write_safetensors(folder / "all.safetensors", tensors);
  const auto file = open_safetensors(folder / "all.safetensors");
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& item : tensors) {
    const at::Tensor read = file->load(item.name);
    EXPECT_EQ(read.scalar_type(), item.dtype) << item.name;
    EXPECT_TRUE(read.equal(item.load())) << item.name;
  }
  test::expect_error([&] { file->load("absent"); }, "absent");
}

TEST(Safetensors, BlocksComeBackAsFloats) {
  const test::TemporaryFolder folder;
  const at::Tensor weights = at::randn({6, 64});
  write_safetensors(folder / "b.safetensors", {{"w", weights, BlockType::kQ5_1}, {"v", weights, {}}});
  const auto file = open_safetensors(folder / "b.safetensors");
  EXPECT_EQ(file->tensors().at("w").type, "Q5_1");
  EXPECT_EQ(file->tensors().at("w").shape, (std::vector<int64_t>{6, 64}));
  const at::Tensor blocks = quantize_blocks(weights, BlockType::kQ5_1);
  const at::Tensor expected = dequantize_blocks(
      BlockType::kQ5_1, {static_cast<const std::byte*>(blocks.const_data_ptr()), blocks.nbytes()}, {6, 64});
  EXPECT_TRUE(file->load("w").equal(expected));
  EXPECT_TRUE(file->load_as("w", at::kBFloat16).equal(expected.to(at::kBFloat16)));
  EXPECT_LT((expected - weights).abs().max().item<float>(), 0.15);
}

TEST(Safetensors, ShardsAreOneModel) {
  const test::TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back({"layer." + std::to_string(i), at::randn({10, 32}), {}});
  tensors[3].blocks = BlockType::kQ8_0;
  write_sharded_safetensors(folder.path(), tensors, 3000);
  EXPECT_TRUE(std::filesystem::exists(folder / "model-00002-of-00002.safetensors"));
  const auto sharded = open_safetensors(folder.path());
  write_sharded_safetensors(folder.path(), tensors, 1 << 20);
  EXPECT_FALSE(std::filesystem::exists(folder / "model.safetensors.index.json"));
  const auto whole = open_safetensors(folder.path());
  for (const auto& item : tensors) EXPECT_TRUE(sharded->load(item.name).equal(whole->load(item.name))) << item.name;
  EXPECT_TRUE(whole->load("layer.1").equal(tensors[1].load()));
}

TEST(Safetensors, PublishedShardsOpen) {
  ICHIGO_GOLDEN_OR_SKIP(path, "llama/llama3.1-untied-sharded/model.safetensors.index.json");
  const auto model = open_safetensors(path.parent_path());
  EXPECT_EQ(model->tensors().size(), 30U);
  int64_t bytes = 0;
  for (const auto& [name, info] : model->tensors()) bytes += static_cast<int64_t>(model->load(name).nbytes());
  EXPECT_EQ(bytes, nlohmann::json::parse(read_file(path))["metadata"]["total_size"].get<int64_t>());
}

void expect_refused(const std::string& header, size_t data, const std::string& part) {
  const test::TemporaryFolder folder;
  write_file(folder / "m.safetensors", test::bytes(uint64_t{header.size()}) + header + std::string(data, '\0'));
  test::expect_error([&] { open_safetensors(folder / "m.safetensors"); }, part);
}

std::string entry(const std::string& name, const std::string& rest) {
  return "\"" + name + "\":{" + rest + "}";
}

TEST(Safetensors, RefusesHostileHeaders) {
  const std::string f2 = R"("dtype":"F32","shape":[2],"data_offsets":)";
  expect_refused("{" + entry("a", f2 + "[0,8]") + "}", 7, "cut off");
  expect_refused("{" + entry("a", f2 + "[0,8]") + "}", 9, "the file at");
  expect_refused("{" + entry("a", f2 + "[0,7]") + "}", 8, "needs 8");
  expect_refused("{" + entry("a", f2 + "[8,0]") + "}", 8, "data_offsets");
  expect_refused("{" + entry("a", f2 + "[-8,0]") + "}", 8, "not a size");
  expect_refused("{" + entry("a", f2 + "[0,99999999999999999999]") + "}", 8, "not a size");
  expect_refused("{" + entry("a", f2 + "[4,12]") + "}", 12, "expected 0");
  expect_refused("{" + entry("a", f2 + "[0,8]") + "," + entry("b", f2 + "[4,12]") + "}", 12, "overlap");
  expect_refused("{" + entry("a", f2 + "[0,8]") + "," + entry("b", f2 + "[12,20]") + "}", 20, "gaps");
  expect_refused("{" + entry("a", f2 + "[0,8]") + "," + entry("a", f2 + "[8,16]") + "}", 16, "\"a\" occurs twice");
  expect_refused("{" + entry("a", R"("dtype":"F33","shape":[2],"data_offsets":[0,8])") + "}", 8, "F33");
  expect_refused("{" + entry("a", R"("shape":[2],"data_offsets":[0,8])") + "}", 8, "dtype");
  expect_refused("{" + entry("a", R"("dtype":"F32","data_offsets":[0,8])") + "}", 8, "shape");
  expect_refused("{" + entry("a", R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])") + "}", 8, "not a size");
  expect_refused("{" + entry("a", R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])") + "}", 8,
                 "has 9 entries");
  expect_refused(
      "{" + entry("a", R"("dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8])") + "}", 8,
      "impossible");
  expect_refused("{\"a\":3}", 0, "dtype");
  expect_refused("[]", 0, "not a JSON object");
  expect_refused("{\"a\":", 0, "not valid JSON");
  expect_refused(std::string(200000, '['), 0, "nested deeper");
}

TEST(Safetensors, RefusesWhatIsNoFileOfItsKind) {
  const test::TemporaryFolder folder;
  write_file(folder / "empty.safetensors", "");
  test::expect_error([&] { open_safetensors(folder / "empty.safetensors"); }, "cut off");
  write_file(folder / "long.safetensors", test::bytes(uint64_t{1} << 40) + "{}");
  test::expect_error([&] { open_safetensors(folder / "long.safetensors"); }, "the header claims");
  test::expect_error([&] { open_safetensors(folder.path()); }, "holds neither");
}

TEST(Safetensors, RefusesHostileBlocks) {
  const auto refuse = [](const std::string& blocks, const std::string& part) {
    const std::string metadata = nlohmann::json{{"ichigo.blocks", blocks}}.dump();
    expect_refused("{\"__metadata__\":" + metadata + "," +
                       entry("a", R"("dtype":"U8","shape":[2,34],"data_offsets":[0,68])") + "}",
                   68, part);
  };
  refuse(R"({"a":{"type":"Q8_0","shape":[2,64]}})", "cannot hold");
  refuse(R"({"a":{"type":"Q8_0","shape":[2,33]}})", "cannot hold");
  refuse(R"({"a":{"type":"Q9_0","shape":[2,32]}})", "unknown type");
  refuse(R"({"b":{"type":"Q8_0","shape":[2,32]}})", "not in the file");
  refuse("{", "not valid JSON");
  expect_refused(R"({"__metadata__":{"note":1}})", 0, "is not a string");
}

TEST(Safetensors, RefusesHostileIndex) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "s.safetensors", {{"a", at::zeros({2}), {}}});
  const auto refuse = [&](const std::string& index, const std::string& part) {
    write_file(folder / "model.safetensors.index.json", index);
    test::expect_error([&] { open_safetensors(folder.path()); }, part);
  };
  refuse(R"({"weight_map":{"b":"s.safetensors"}})", "has no tensor \"b\"");
  refuse(R"({"weight_map":{"a":"../s.safetensors"}})", "not a file name");
  refuse(R"({"weight_map":{"a":"t.safetensors"}})", "t.safetensors");
  refuse(R"({"weight_map":{"a":1}})", "names no file");
  refuse("{}", "weight_map");
}

TEST(Safetensors, RefusesToWriteNonsense) {
  const test::TemporaryFolder folder;
  const at::Tensor two = at::zeros({2});
  test::expect_error([&] { write_safetensors(folder / "x", {{"a", two, {}}, {"a", two, {}}}); }, "two tensors");
  test::expect_error([&] { write_safetensors(folder / "x", {{"a", two, BlockType::kQ8_0}}); }, "cannot be stored");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace ichigo
