#include "weights/gguf.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files.h"
#include "golden.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

TEST(Gguf, FirstRowsAreLlamaCpps) {
  ICHIGO_GOLDEN_OR_SKIP(rows_path, "gguf/rows.safetensors");
  const auto rows = open_safetensors(rows_path);
  int files = 0;
  for (const std::string& kind : test::golden_names("gguf", ".gguf")) {
    ICHIGO_GOLDEN_OR_SKIP(path, "gguf/" + kind + ".gguf");
    const auto file = open_gguf(path);
    int checked = 0;
    for (const auto& [name, info] : rows->tensors()) {
      if (!name.starts_with(kind + "/") || name.ends_with("/type")) continue;
      const at::Tensor expected = rows->load(name);
      const at::Tensor ours = file->load(name.substr(kind.size() + 1)).to(at::kFloat);
      EXPECT_TRUE(ours.narrow(0, 0, expected.size(0)).equal(expected)) << name;
      ++checked;
    }
    EXPECT_GT(checked, 0) << kind;
    ++files;
  }
  EXPECT_GT(files, 0);
}

TEST(Gguf, AsHuggingFaceIsTheModelItWasMadeFrom) {
  ICHIGO_GOLDEN_OR_SKIP(path, "gguf/bf16.gguf");
  ICHIGO_GOLDEN_OR_SKIP(original_path, "llama/for-gguf/model.safetensors");
  const auto original = open_safetensors(original_path);
  auto gguf = open_gguf(path);
  const auto config = gguf_llama_config(*gguf);
  EXPECT_EQ(gguf->metadata()["tokenizer.ggml.tokens"].size(), 2203U);
  const auto model = gguf_as_hugging_face(std::move(gguf));
  ASSERT_EQ(model->tensors().size(), original->tensors().size());
  for (const auto& [name, info] : original->tensors()) {
    EXPECT_EQ(model->tensors().at(name).shape, info.shape) << name;
    EXPECT_TRUE(model->load(name).to(at::kFloat).equal(original->load(name).to(at::kFloat))) << name;
    EXPECT_TRUE(model->load_as(name, at::kBFloat16).equal(original->load(name))) << name;
  }
  const auto expected = nlohmann::json::parse(read_file(original_path.parent_path() / "config.json"));
  for (const char* key : {"architectures", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim",
                          "num_attention_heads", "num_key_value_heads", "rope_theta", "rope_scaling", "vocab_size",
                          "max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id"}) {
    EXPECT_EQ(config[key], expected[key]) << key;
  }
  EXPECT_FLOAT_EQ(config["rms_norm_eps"].get<float>(), expected["rms_norm_eps"].get<float>());
}

TEST(Gguf, QuantizedTensorsConvertStraightToBfloat16) {
  ICHIGO_GOLDEN_OR_SKIP(path, "gguf/q4_0.gguf");
  const auto file = gguf_as_hugging_face(open_gguf(path));
  for (const char* name : {"model.layers.1.self_attn.q_proj.weight", "model.embed_tokens.weight"}) {
    EXPECT_TRUE(file->load_as(name, at::kBFloat16).equal(file->load(name).to(at::kBFloat16))) << name;
  }
}

std::string text(const std::string& value) {
  return test::bytes(uint64_t{value.size()}) + value;
}

// A GGUF with one F32 tensor "a" [2, 3] unless changed.
struct Maker {
  std::string magic = "GGUF", metadata, extra_tensor;
  uint32_t version = 3, type = 0, rank = 2;
  uint64_t keys = 0, tensors = 1, columns = 3, rows = 2, offset = 0, data = 24;

  std::string make() const {
    std::string file = magic + test::bytes(version) + test::bytes(tensors) + test::bytes(keys) + metadata;
    file += text("a") + test::bytes(rank) + test::bytes(columns) + test::bytes(rows) + test::bytes(type) +
            test::bytes(offset) + extra_tensor;
    file.resize((file.size() + 31) / 32 * 32);
    return file + std::string(data, '\0');
  }
};

void expect_refused(const Maker& maker, const std::string& part, size_t cut = 0) {
  const test::TemporaryFolder folder;
  const std::string file = maker.make();
  write_file(folder / "broken.gguf", std::string_view(file).substr(0, file.size() - cut));
  test::expect_error([&] { open_gguf(folder / "broken.gguf"); }, part);
}

TEST(Gguf, RefusesHostileFiles) {
  const test::TemporaryFolder folder;
  write_file(folder / "whole.gguf", Maker().make());
  EXPECT_EQ(open_gguf(folder / "whole.gguf")->load("a").sizes(), (std::vector<int64_t>{2, 3}));

  expect_refused({.magic = "GGML"}, "not a GGUF");
  expect_refused({.version = 9}, "version 9");
  expect_refused({}, "cut off", 1);
  expect_refused({}, "cut off", 40);
  expect_refused({.type = 10}, "type number 10");
  expect_refused({.type = 12}, "multiple of 256");
  expect_refused({.type = 8}, "multiple of 32");
  expect_refused({.rank = 5}, "5 dimensions");
  expect_refused({.columns = uint64_t{1} << 40, .rows = uint64_t{1} << 40}, "impossible");
  expect_refused({.columns = ~uint64_t{0}}, "impossible");
  expect_refused({.offset = 32}, "offset 32");
  expect_refused({.offset = 8}, "offset 8");
  expect_refused({.offset = ~uint64_t{31}}, "offset");
  expect_refused({.tensors = uint64_t{1} << 60}, "0 dimensions");
  const std::string second =
      test::bytes(uint32_t{1}) + test::bytes(uint64_t{6}) + test::bytes(uint32_t{0}) + test::bytes(uint64_t{0});
  expect_refused({.extra_tensor = text("b") + second, .tensors = 2}, "overlap");
  expect_refused({.extra_tensor = text("a") + second, .tensors = 2}, "twice");
}

TEST(Gguf, RefusesHostileMetadata) {
  const std::string array = text("k") + test::bytes(uint32_t{9});
  expect_refused({.metadata = test::bytes(uint64_t{1} << 62), .keys = 1}, "cut off");
  expect_refused({.metadata = text("k") + test::bytes(uint32_t{77}), .keys = 1}, "unknown type 77");
  expect_refused({.metadata = array + test::bytes(uint32_t{8}) + test::bytes(uint64_t{1} << 50), .keys = 1}, "values");
  expect_refused({.metadata = array + test::bytes(uint32_t{9}) + test::bytes(uint64_t{1}), .keys = 1}, "arrays");
  const std::string flag = text("k") + test::bytes(uint32_t{7}) + std::string(1, '\1');
  expect_refused({.metadata = flag + flag, .keys = 2}, "twice");
  const std::string alignment = text("general.alignment") + test::bytes(uint32_t{4}) + test::bytes(uint32_t{0});
  expect_refused({.metadata = alignment, .keys = 1}, "general.alignment");
}

TEST(Gguf, OnlyLlamaIsSeenAsHuggingFace) {
  const test::TemporaryFolder folder;
  write_file(
      folder / "other.gguf",
      Maker{.metadata = text("general.architecture") + test::bytes(uint32_t{8}) + text("gemma3"), .keys = 1}.make());
  test::expect_error([&] { gguf_as_hugging_face(open_gguf(folder / "other.gguf")); }, "gemma3");
}

}  // namespace
}  // namespace ichigo
