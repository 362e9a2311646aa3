// The commands that bring models into other forms, with tiny random models.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "assistant/tiny_model.h"
#include "cli/program.h"
#include "golden.h"
#include "text/byte_tokenizer.h"
#include "text/sound_vocabulary.h"
#include "weights/gguf.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using test::run_program;

TEST(Formats, GgufAndBackIsBitForBitTheSameModel) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder / "model", tokenizer, {.with_ear = false});
  const std::string model = folder / "model", gguf = folder / "model.gguf", back = folder / "back";
  auto converted = run_program({"convert", model, gguf, "--to", "gguf", "--type", "bf16"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  converted = run_program({"convert", gguf, back, "--type", "bf16"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_EQ(read_file(folder / "back/model.safetensors"), read_file(folder / "model/model.safetensors"));
  const std::vector<std::string> question = {"chat", "Hello", "--max-tokens", "8", "--model"};
  const auto answer = [&](const std::string& path) {
    auto arguments = question;
    arguments.push_back(path);
    return run_program(arguments).out;
  };
  EXPECT_NE(answer(model), "");
  EXPECT_EQ(answer(gguf), answer(model));

  for (const std::string type : {"q8_0", "q4_0", "f16"}) {
    EXPECT_EQ(run_program({"convert", model, gguf, "--to", "gguf", "--type", type}).code, 0) << type;
    EXPECT_EQ(run_program({"chat", "Hello", "--max-tokens", "2", "--model", gguf}).code, 0) << type;
  }
  EXPECT_COMPLAINS(run_program({"convert", model, folder.path(), "--to", "gguf"}), 1, "is a folder");
  EXPECT_COMPLAINS(run_program({"convert", model, gguf, "--to", "gguf", "--ear", "q8_0"}), 1, "holds no ear");
  EXPECT_COMPLAINS(run_program({"convert", model, folder / "x", "--type", "f16"}), 1, "--to gguf");
}

TEST(Formats, ImportedVocabularyHasIchigosTokens) {
  ICHIGO_GOLDEN_OR_SKIP(config, "llama/llama3.1-untied-sharded/config.json");
  const test::TemporaryFolder folder;
  fs::copy(config.parent_path(), folder / "base");
  test::write_byte_tokenizer(folder / "base/tokenizer.json", "llama-bpe");
  const std::string base = folder / "base", out = folder / "out";
  const auto imported = run_program({"import", "vocabulary", base, out, "--codes", "600"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_CONTAINS(imported.out, "601 sound tokens, ids 260 to 860, 861 embedding rows");

  const auto before = open_model_directory(base), after = open_model_directory(out);
  const SoundVocabulary sounds(after.tokenizer);
  EXPECT_EQ(sounds.start(), 258);
  EXPECT_EQ(sounds.end(), 259);
  EXPECT_EQ(sounds.codes(), 601);
  EXPECT_EQ(after.config["vocab_size"], 861);
  EXPECT_EQ(after.config["eos_token_id"], before.config["eos_token_id"]);
  for (const auto& [name, info] : before.weights->tensors()) {
    const at::Tensor old = before.weights->load(name), now = after.weights->load(name);
    if (name != "model.embed_tokens.weight" && name != "lm_head.weight") {
      EXPECT_TRUE(now.equal(old)) << name;
      continue;
    }
    ASSERT_EQ(now.size(0), 861) << name;
    const at::Tensor known = old.narrow(0, 0, 258).to(at::kFloat), added = now.narrow(0, 258, 603).to(at::kFloat);
    EXPECT_TRUE(now.narrow(0, 0, 258).equal(old.narrow(0, 0, 258))) << name;
    // Drawn around the mean of the known rows: within five standard errors of it.
    const at::Tensor error = (added.mean(0) - known.mean(0)).abs() / (known.std(0) / std::sqrt(603.0));
    EXPECT_LT(error.max().item<double>(), 5) << name;
  }
  EXPECT_COMPLAINS(run_program({"import", "vocabulary", base, out}), 1, "exists already");
  EXPECT_COMPLAINS(run_program({"import", "vocabulary", out, folder / "again"}), 1, "601 sound tokens already");
}

TEST(Formats, TokenizePrintsTheIdsOfText) {
  const test::TemporaryFolder folder;
  test::write_byte_tokenizer(folder / "tokenizer.json", "gpt-2");
  write_file(folder / "text", "Hi <tool>\n\n\xC3\xA9");
  const auto printed = run_program({"tokenize", "--text", folder / "text", "--model", folder / "tokenizer.json"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  EXPECT_EQ(printed.out, "72 105 32 257\n\n195 169\n");
  EXPECT_COMPLAINS(run_program({"tokenize", "--text", folder / "text", "--model", folder / "none"}), 1, "none");
}

}  // namespace
}  // namespace ichigo
