// Llama and Qwen2 against transformers' answers (golden/llama), and the KV cache against whole sequences.
#include "models/llama.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "golden.h"
#include "models/fused_model.h"
#include "nn/linear_cross_entropy.h"
#include "weights/files.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

std::vector<std::filesystem::path> golden_models() {
  std::vector<std::filesystem::path> folders;
  if (const auto root = test::golden("llama")) {
    for (const auto& entry : std::filesystem::directory_iterator(*root)) {
      if (std::filesystem::exists(entry.path() / "golden.safetensors")) folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::shared_ptr<Llama> load(const std::filesystem::path& folder, at::ScalarType dtype,
                            const std::string& config = "config.json") {
  const auto json = nlohmann::json::parse(read_file(folder / config));
  return load_llama(LlamaConfig::from_json(json), *open_weights(folder), dtype);
}

double largest(const at::Tensor& difference) {
  return difference.abs().max().item<double>();
}

class GoldenLlama : public testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override { golden_ = open_weights(GetParam() / "golden.safetensors"); }
  std::unique_ptr<WeightFile> golden_;
};

TEST_P(GoldenLlama, LogitsOfWholeSequencesAndOfTheCache) {
  const auto model = load(GetParam(), at::kFloat);
  const at::Tensor ids = golden_->load("ids");
  const at::Tensor expected = golden_->load("logits_fp32");
  const at::NoGradGuard no_grad;
  const at::Tensor packed = model->logits(model->forward_packed(ids.flatten(), {ids.size(1), ids.size(1)}));
  EXPECT_LE(largest(packed.view_as(expected) - expected), 1e-4);
  KeyValueCache cache;
  std::vector<at::Tensor> pieces;
  for (const auto& [begin, end] : {std::pair{0, 40}, {40, 41}, {41, 96}}) {
    pieces.push_back(model->logits(model->forward(ids[0].slice(0, begin, end), cache)));
  }
  EXPECT_LE(largest(at::cat(pieces) - expected[0]), 1e-4);
}

TEST_P(GoldenLlama, BothSpellingsOfTheConfigurationAreOneModel) {
  const auto published = LlamaConfig::from_json(nlohmann::json::parse(read_file(GetParam() / "config.json")));
  const auto newer = LlamaConfig::from_json(nlohmann::json::parse(read_file(GetParam() / "config.transformers5.json")));
  EXPECT_EQ(published.to_json(), newer.to_json());
  EXPECT_EQ(LlamaConfig::from_json(published.to_json()).to_json(), published.to_json());
}

TEST_P(GoldenLlama, Bfloat16IsAsCloseAsTransformersIs) {
  const auto model = load(GetParam(), at::kBFloat16);
  const at::Tensor ids = golden_->load("ids");
  const at::Tensor exact = golden_->load("logits_fp32");
  const at::NoGradGuard no_grad;
  const at::Tensor logits = model->logits(model->forward_packed(ids.flatten(), {ids.size(1), ids.size(1)}));
  const double theirs = largest(golden_->load("logits_bf16").to(at::kFloat) - exact);
  EXPECT_LE(largest(logits.view_as(exact) - exact), 1.5 * theirs);
}

TEST_P(GoldenLlama, LossAndGradients) {
  const auto model = load(GetParam(), at::kFloat);
  const at::Tensor ids = golden_->load("ids");
  const at::Tensor targets = golden_->load("labels").slice(1, 1);
  const at::Tensor kept = targets.ne(-100).flatten().nonzero().flatten();
  for (const bool checkpointing : {false, true}) {
    for (auto& [name, parameter] : model->hugging_face_parameters()) {
      parameter.set_requires_grad(true);
      parameter.mutable_grad() = at::Tensor();
    }
    const at::Tensor hidden = model->forward_packed(ids.flatten(), {ids.size(1), ids.size(1)}, checkpointing)
                                  .view({ids.size(0), ids.size(1), -1})
                                  .slice(1, 0, ids.size(1) - 1)
                                  .flatten(0, 1)
                                  .index_select(0, kept);
    const at::Tensor loss =
        linear_cross_entropy(hidden, model->head(), targets.flatten().index_select(0, kept)) / kept.numel();
    EXPECT_NEAR(loss.item<double>(), golden_->load("loss").item<double>(), 1e-5);
    if (!std::filesystem::exists(GetParam() / "gradients.safetensors")) continue;
    torch::autograd::backward({loss});
    const auto gradients = open_weights(GetParam() / "gradients.safetensors");
    for (const auto& [name, parameter] : model->hugging_face_parameters()) {
      const at::Tensor expected = gradients->load(name).to(at::kFloat);
      EXPECT_LE(largest(parameter.grad() - expected), 1e-4 * largest(expected)) << name;
    }
  }
}

TEST_P(GoldenLlama, GreedyContinuation) {
  const auto model = load(GetParam(), at::kFloat);
  const at::Tensor expected = golden_->load("continuation")[0];
  KeyValueCache cache;
  at::Tensor next = golden_->load("ids")[0].slice(0, 0, 32);
  for (int64_t i = 32; i < expected.size(0); ++i) {
    const at::Tensor hidden = model->forward(next, cache);
    next = model->logits(hidden.slice(0, -1)).argmax(-1);
    ASSERT_EQ(next.item<int64_t>(), expected[i].item<int64_t>()) << "at position " << i;
  }
}

TEST_P(GoldenLlama, RolledBackCacheGoesOnAsIfNothingHadBeen) {
  const auto model = load(GetParam(), at::kFloat);
  const at::Tensor ids = golden_->load("ids")[0];
  KeyValueCache cache;
  model->forward(ids.slice(0, 0, 20), cache);
  model->forward(golden_->load("ids")[1].slice(0, 0, 30), cache);
  cache.truncate(20);
  const at::Tensor logits = model->logits(model->forward(ids.slice(0, 20, 40), cache));
  EXPECT_LE(largest(logits - golden_->load("logits_fp32")[0].slice(0, 20, 40)), 1e-4);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenLlama);
INSTANTIATE_TEST_SUITE_P(Golden, GoldenLlama, testing::ValuesIn(golden_models()),
                         [](const auto& info) { return test::test_name(info.param.filename()); });

TEST(ExtendEmbedding, KeepsOldRowsAndPlacesAlikeCodesTogether) {
  const at::Tensor old_rows = at::randn({50, 32});
  at::Tensor codebook = at::randn({4, 8});
  codebook[1] = codebook[0] + 0.01 * at::randn({8});
  codebook = codebook / codebook.norm(2, 1, true);
  const at::Tensor rows = extend_embedding(old_rows, 56, 52, codebook, 3);
  EXPECT_TRUE(rows.slice(0, 0, 50).equal(old_rows));
  auto distance = [&](int64_t a, int64_t b) { return (rows[a] - rows[b]).norm().item<double>(); };
  EXPECT_LT(distance(52, 53), 0.2 * distance(52, 54));
  EXPECT_TRUE(rows.equal(extend_embedding(old_rows, 56, 52, codebook, 3)));
}

TEST(Llama, RefusesWeightsThatItWouldNotUse) {
  LlamaConfig config;
  config.hidden_size = config.intermediate_size = config.vocab_size = 8;
  config.num_hidden_layers = config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.tie_word_embeddings = true;
  std::vector<TensorToWrite> weights;
  for (const auto& [name, parameter] : Llama(config).hugging_face_parameters()) weights.push_back({name, parameter});
  const test::TemporaryFolder folder;
  const auto load_with = [&](const std::string& name) {
    auto more = weights;
    if (!name.empty()) more.push_back({name, at::zeros({8})});
    write_safetensors(folder / "model.safetensors", more);
    load_llama(config, *open_safetensors(folder / "model.safetensors"), at::kFloat);
  };
  load_with("");
  load_with("lm_head.weight");
  load_with("model.layers.0.self_attn.rotary_emb.inv_freq");
  test::expect_error([&] { load_with("model.layers.0.self_attn.o_proj.bias"); }, "o_proj.bias");
  config.num_hidden_layers = 60000;
  test::expect_error([&] { load_with(""); }, "too few for 60000 layers");
}

TEST(LlamaConfig, NamesWhatIsWrong) {
  auto message = [](const nlohmann::json& json) -> std::string {
    try {
      LlamaConfig::from_json(json);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({{"model_type", "mamba"}}).find("mamba"), std::string::npos);
  EXPECT_NE(message({{"model_type", "llama"}, {"hidden_size", 64}}).find("intermediate_size"), std::string::npos);
  EXPECT_NE(message({{"model_type", 5}}).find("\"model_type\" is 5, expected a text"), std::string::npos);
  EXPECT_NE(message({{"model_type", "llama"}, {"hidden_size", "64"}}).find("\"hidden_size\""), std::string::npos);
  EXPECT_NE(message({{"model_type", "llama"},
                     {"hidden_size", 64},
                     {"intermediate_size", 64},
                     {"num_hidden_layers", 1},
                     {"num_attention_heads", 3},
                     {"num_key_value_heads", 2},
                     {"head_dim", 4},
                     {"vocab_size", 9}})
                .find("multiple"),
            std::string::npos);
}

}  // namespace
}  // namespace ichigo
