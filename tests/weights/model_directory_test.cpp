#include "weights/model_directory.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "files.h"
#include "golden.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

TEST(ModelDirectory, GgufAndFolderAreTheSameModel) {
  ICHIGO_GOLDEN_OR_SKIP(gguf, "gguf/q8_0.gguf");
  ICHIGO_GOLDEN_OR_SKIP(weights, "llama/for-gguf/model.safetensors");
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const test::TemporaryFolder folder;
  fs::copy(weights.parent_path(), folder.path());
  for (const char* name : {"tokenizer.json", "chat_template.jinja"}) {
    fs::copy(tokenizer.parent_path() / name, folder / name);
  }
  const auto a = open_model_directory(folder.path());
  const auto b = open_model_directory(gguf);
  EXPECT_EQ(a.config["hidden_size"], b.config["hidden_size"]);
  EXPECT_EQ(a.tokenizer.vocabulary_size(), b.tokenizer.vocabulary_size());
  EXPECT_EQ(a.chat_template, b.chat_template);
  EXPECT_EQ(a.stop_tokens, (std::vector<int64_t>{1609}));
  EXPECT_EQ(b.stop_tokens, a.stop_tokens);
  for (const auto& [name, info] : a.weights->tensors()) {
    EXPECT_EQ(info.shape, b.weights->tensors().at(name).shape) << name;
  }

  write_file(folder / "generation_config.json", R"({"eos_token_id": [3, 1]})");
  write_file(folder / "chat_template.jinja", "{{ message }}");
  EXPECT_EQ(open_model_directory(folder.path()).stop_tokens, (std::vector<int64_t>{1, 3}));
  fs::remove(folder / "chat_template.jinja");
  write_file(folder / "tokenizer_config.json",
             R"({"chat_template": [{"name": "x", "template": "y"}, {"name": "default", "template": "z"}]})");
  EXPECT_EQ(open_model_directory(folder.path()).chat_template, "z");
}

TEST(ModelDirectory, SaysWhatIsMissing) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const test::TemporaryFolder folder;
  const auto refuse = [&](const std::string& part) {
    test::expect_error([&] { open_model_directory(folder.path()); }, part);
  };
  refuse("no config.json");
  write_file(folder / "config.json", "{}");
  refuse("no tokenizer.json");
  fs::copy(tokenizer, folder / "tokenizer.json");
  refuse("model.safetensors");
  write_file(folder / "config.json", "{");
  refuse("not valid JSON");
  write_file(folder / "config.json", R"({"eos_token_id": "x"})");
  refuse("no token id");
  test::expect_error([&] { open_model_directory(folder / "absent"); }, "does not exist");
}

}  // namespace
}  // namespace ichigo
