#include "models/llama_gguf.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "golden.h"
#include "models/llama.h"
#include "text/byte_tokenizer.h"
#include "weights/files.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A model folder: golden weights and configuration with some vocabulary.
void make_folder(const fs::path& folder, const fs::path& weights, const fs::path& tokenizer) {
  fs::create_directories(folder);
  for (const auto& file : fs::directory_iterator(weights.parent_path())) fs::copy(file.path(), folder);
  fs::copy(tokenizer, folder / "tokenizer.json");
  if (fs::exists(tokenizer.parent_path() / "chat_template.jinja"))
    fs::copy(tokenizer.parent_path() / "chat_template.jinja", folder / "chat_template.jinja");
}

void expect_same_weights(const WeightFile& a, const WeightFile& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const auto& [name, info] : a.tensors()) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(a.load_as(name, at::kBFloat16).equal(b.load_as(name, at::kBFloat16))) << name;
  }
}

TEST(LlamaGguf, IsWhatLlamaCppsConverterAndQuantiserWrite) {
  ICHIGO_GOLDEN_OR_SKIP(weights, "llama/for-gguf/model.safetensors");
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const test::TemporaryFolder folder;
  make_folder(folder / "model", weights, tokenizer);
  const auto model = open_model_directory(folder / "model");
  for (const std::string type : {"bf16", "f16", "q8_0", "q4_0"}) {
    ICHIGO_GOLDEN_OR_SKIP(golden, "gguf/" + type + ".gguf");
    write_llama_gguf(folder / "ours.gguf", model, GgufStorage::parse(type));
    const auto ours = open_gguf(folder / "ours.gguf"), theirs = open_gguf(golden);
    ASSERT_EQ(ours->tensors().size(), theirs->tensors().size());
    int identical = 0;
    for (const auto& [name, info] : theirs->tensors()) {
      ASSERT_TRUE(ours->contains(name)) << name;
      EXPECT_EQ(ours->tensors().at(name).shape, info.shape) << name;
      if (ours->tensors().at(name).type != info.type) {  // llama.cpp chooses other types for embedding and head
        EXPECT_TRUE(name == "token_embd.weight" || name == "output.weight") << name << ' ' << info.type;
        continue;
      }
      EXPECT_TRUE(ours->load(name).equal(theirs->load(name))) << type << ' ' << name;
      ++identical;
    }
    EXPECT_GE(identical, 19) << type;
    for (const auto& [key, value] : theirs->metadata().items()) {
      if (!key.starts_with("llama.") && !key.starts_with("tokenizer.")) continue;
      if (key.ends_with("padding_token_id") || key.ends_with("unknown_token_id")) continue;
      ASSERT_TRUE(ours->metadata().contains(key)) << key;
      if (key == "tokenizer.ggml.token_type") continue;
      EXPECT_TRUE(ours->metadata()[key] == value) << key;
    }
    // llama.cpp takes every added token that looks like <|this|> for a special one; ours keep what tokenizer.json says.
    const json &our_types = ours->metadata()["tokenizer.ggml.token_type"],
               &their_types = theirs->metadata()["tokenizer.ggml.token_type"];
    ASSERT_EQ(our_types.size(), their_types.size());
    for (size_t i = 0; i < our_types.size(); ++i) {
      const auto token = ours->metadata()["tokenizer.ggml.tokens"][i].get<std::string>();
      const bool looks_special = token.starts_with("<|") && token.ends_with("|>");
      EXPECT_TRUE(our_types[i] == their_types[i] || (looks_special && our_types[i] == 4 && their_types[i] == 3))
          << token;
    }
    EXPECT_EQ(ours->metadata()["general.file_type"], theirs->metadata()["general.file_type"]);
  }
}

TEST(LlamaGguf, ThereAndBackIsTheSameModel) {
  for (const std::string name : {"llama3-plain-rope", "llama3.1-untied-sharded", "llama3.2-tied", "qwen2"}) {
    ICHIGO_GOLDEN_OR_SKIP(config, "llama/" + name + "/config.json");
    const test::TemporaryFolder folder;
    test::write_byte_tokenizer(folder / "tokenizer.json", name == "qwen2" ? "qwen2" : "llama-bpe");
    make_folder(folder / "model", config, folder / "tokenizer.json");
    const auto model = open_model_directory(folder / "model");
    write_llama_gguf(folder / "model.gguf", model, GgufStorage::parse("bf16"));
    const auto back = open_model_directory(folder / "model.gguf");
    expect_same_weights(*model.weights, *back.weights);
    EXPECT_EQ(LlamaConfig::from_json(back.config).to_json(), LlamaConfig::from_json(model.config).to_json()) << name;
    EXPECT_EQ(back.stop_tokens, model.stop_tokens) << name;
    EXPECT_EQ(back.tokenizer.vocabulary_size(), 258);
    const std::string text = "Hi <tool><|im_end|> 1234\xC3\xA9";
    EXPECT_EQ(back.tokenizer.encode(text), model.tokenizer.encode(text)) << name;
  }
}

TEST(LlamaGguf, RefusesWhatGgufCannotHold) {
  ICHIGO_GOLDEN_OR_SKIP(config, "llama/qwen2/config.json");
  const test::TemporaryFolder folder;
  test::write_byte_tokenizer(folder / "tokenizer.json", "qwen2");
  make_folder(folder / "model", config, folder / "tokenizer.json");
  auto model = open_model_directory(folder / "model");
  test::expect_error([] { GgufStorage::parse("q4_k"); }, "no type that GGUF files are written in");
  test::expect_error([] { GgufStorage::parse("q3"); }, "\"q3\" is no type");
  model.config["vocab_size"] = 200;
  test::expect_error([&] { write_llama_gguf(folder / "x.gguf", model, GgufStorage::parse("bf16")); },
                     "258 tokens, but the model only 200 embedding rows");
  EXPECT_FALSE(fs::exists(folder / "x.gguf"));
}

}  // namespace
}  // namespace ichigo
