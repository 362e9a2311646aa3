// The processor's Llama against transformers' answers (golden/llama) and against models/llama on the same weights.
#include "models/packed_llama.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "assistant/tiny_model.h"
#include "base/atomic_file.h"
#include "golden.h"
#include "models/llama_gguf.h"
#include "weights/base_weights.h"
#include "weights/files.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

double largest(const at::Tensor& difference) {
  return difference.abs().max().item<double>();
}

at::Tensor logits_of(LanguageModel& model, const at::Tensor& ids, const std::vector<int64_t>& ends) {
  KeyValueCache cache;
  std::vector<at::Tensor> pieces;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    pieces.push_back(model.logits(model.forward(ids.slice(0, begin, end), cache)));
    begin = end;
  }
  return at::cat(pieces);
}

TEST(PackedLlama, GivesTransformersLogits) {
  int models = 0;
  const auto root = test::golden("llama");
  if (!root) GTEST_SKIP() << "no golden files";
  for (const auto& entry : fs::directory_iterator(*root)) {
    if (!fs::exists(entry.path() / "golden.safetensors")) continue;
    const auto config = LlamaConfig::from_json(nlohmann::json::parse(read_file(entry.path() / "config.json")));
    const auto golden = open_weights(entry.path() / "golden.safetensors");
    const auto weights = open_weights(entry.path());
    const at::Tensor ids = golden->load("ids")[0], exact = golden->load("logits_fp32")[0];
    PackedLlama model(config, *weights, PackedTypes::parse("float32"));
    EXPECT_LE(largest(logits_of(model, ids, {40, 41, ids.size(0)}) - exact), 1e-4) << entry.path();
    // Activations stay in float32 between products: closer than all of it in bfloat16.
    PackedLlama rounded(config, *weights, PackedTypes::parse("bfloat16"));
    const double theirs = largest(golden->load("logits_bf16")[0].to(at::kFloat) - exact);
    EXPECT_LE(largest(logits_of(rounded, ids, {ids.size(0)}) - exact), theirs) << entry.path();
    ++models;
  }
  EXPECT_GE(models, 1);
}

// SmolLM2's own weights: tools/compare_language_model.py writes transformers' answers and runs this.
TEST(PackedLlama, GivesTransformersLogitsOfRealWeights) {
  ICHIGO_GOLDEN_OR_SKIP(path, "smollm2/logits.safetensors");
  const auto golden = open_weights(path);
  const at::Tensor ids = golden->load("ids"), expected = golden->load("logits");
  const auto opened = open_model_directory(base_folder() / "smollm2-135m-instruct");
  PackedLlama model(LlamaConfig::from_json(opened.config), *opened.weights, PackedTypes::parse("float32"));
  const double difference = largest(logits_of(model, ids, {ids.size(0) / 2, ids.size(0)}) - expected);
  std::printf("logits up to %.1f, largest difference %.1e\n", largest(expected), difference);
  EXPECT_LE(difference, 1e-3);
}

// llama.cpp's own logits, for which it rounds activations to 8 bits.
TEST(PackedLlama, GgufFilesGiveLlamaCppsLogits) {
  ICHIGO_GOLDEN_OR_SKIP(path, "gguf/llama_cpp_logits.safetensors");
  const auto golden = open_weights(path);
  const at::Tensor ids = golden->load("ids").to(at::kLong);
  int compared = 0;
  for (const std::string kind : {"bf16", "f16", "q8_0", "q4_0", "q4_k", "q4_k_m", "q6_k"}) {
    const auto opened = open_model_directory(path.parent_path() / (kind + ".gguf"));
    PackedLlama model(LlamaConfig::from_json(opened.config), *opened.weights, PackedTypes::parse("float32"));
    const at::Tensor ours = logits_of(model, ids, {ids.size(0)}), theirs = golden->load("logits_" + kind);
    const at::Tensor alike = at::cosine_similarity(ours, theirs.view_as(ours), 1);
    EXPECT_GE(alike.min().item<double>(), kind == "q8_0" ? 0.999 : 0.998) << kind;
    ++compared;
  }
  EXPECT_EQ(compared, 7);
}

class TinyPackedLlama : public testing::Test {
 protected:
  void SetUp() override {
    const auto tokenizer = test::golden("tokenizer/tokenizer.json");
    if (!tokenizer) GTEST_SKIP() << "no golden files";
    test::write_tiny_model(folder_ / "model", *tokenizer, {.with_ear = false});
    config_ = LlamaConfig::from_json(nlohmann::json::parse(read_file(folder_ / "model/config.json")));
    ids_ = at::randint(config_.vocab_size, {600}, at::kLong);
  }
  test::TemporaryFolder folder_;
  LlamaConfig config_;
  at::Tensor ids_;
};

// The permuted rows of GGUF's q and k, stored blocks and the plain model must come to the same.
TEST_F(TinyPackedLlama, ComputesWhatAGgufFileHolds) {
  const auto directory = open_model_directory(folder_ / "model");
  for (const std::string type : {"f16", "bf16", "q8_0", "q4_0"}) {
    write_llama_gguf(folder_ / "model.gguf", directory, GgufStorage::parse(type));
    const auto opened = open_model_directory(folder_ / "model.gguf");
    const auto reference = load_llama(config_, *opened.weights, at::kFloat);
    PackedLlama exact(config_, *opened.weights, PackedTypes::parse("float32"));
    const at::Tensor ids = ids_.slice(0, 0, 100), expected = logits_of(*reference, ids, {100});
    EXPECT_LE(largest(logits_of(exact, ids, {100}) - expected), 1e-3 * largest(expected)) << type;
    // As it is stored: what remains is the rounding of activations.
    PackedLlama stored(config_, *opened.weights);
    EXPECT_LE(largest(logits_of(stored, ids, {100}) - expected), 0.1 * largest(expected)) << type;
    EXPECT_GT(largest(logits_of(stored, ids, {100}) - expected), 0) << type;
  }
}

TEST_F(TinyPackedLlama, IsTheSameBitByBitHoweverTheTokensCome) {
  const auto weights = open_weights(folder_ / "model");
  for (const char* type : {"float32", "bfloat16", "q8_0", "q4_0"}) {
    PackedLlama model(config_, *weights, PackedTypes::parse(type));
    const at::Tensor whole = logits_of(model, ids_, {600});
    EXPECT_TRUE(logits_of(model, ids_, {1, 2, 14, 100, 255, 257, 599, 600}).equal(whole)) << type;
  }
}

TEST_F(TinyPackedLlama, GoesOnFromAnEarlierPlaceAsIfNothingHadBeen) {
  PackedLlama model(config_, *open_weights(folder_ / "model"), PackedTypes::parse("q8_0"));
  const at::Tensor expected = logits_of(model, ids_, {600});
  KeyValueCache cache;
  model.forward(ids_.slice(0, 0, 30), cache);
  model.forward(ids_.slice(0, 300, 600), cache);
  cache.truncate(30);
  EXPECT_TRUE(model.logits(model.forward(ids_.slice(0, 30, 60), cache)).equal(expected.slice(0, 30, 60)));
}

TEST_F(TinyPackedLlama, RefusesWhatDoesNotFit) {
  PackedLlama model(config_, *open_weights(folder_ / "model"), PackedTypes::parse("q4_0"));
  KeyValueCache cache;
  test::expect_error([&] { model.forward(at::tensor({config_.vocab_size}, at::kLong), cache); },
                     "none of the vocabulary's");
  test::expect_error([&] { model.forward(at::zeros({config_.max_position_embeddings + 1}, at::kLong), cache); },
                     "the context is full");
  EXPECT_EQ(cache.length(), 0);
  test::expect_error([&] { PackedTypes::parse("q5"); }, "use auto, float32, bfloat16, q8_0 or q4_0");
  config_.intermediate_size = 128;
  test::expect_error([&] { PackedLlama(config_, *open_weights(folder_ / "model")); }, "has the shape");
}

}  // namespace
}  // namespace ichigo
