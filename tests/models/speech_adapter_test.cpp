// The linear layer in place of sound codes, and decoders that are given vectors in place of tokens.
#include "models/speech_adapter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/packed_llama.h"
#include "temporary_folder.h"
#include "text/sound_vocabulary.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

LlamaConfig tiny_config() {
  LlamaConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 50;
  config.max_position_embeddings = 700;
  return config;
}

std::shared_ptr<Llama> tiny_llama() {
  auto model = std::make_shared<Llama>(tiny_config());
  const at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (auto& parameter : model->parameters()) parameter.normal_(0, 0.3);
  return model;
}

double largest(const at::Tensor& difference) {
  return difference.abs().max().item<double>();
}

TEST(SpeechAdapter, BeginsWithTheMeanAndTheSpreadOfTheEmbedding) {
  at::manual_seed(1);
  const at::Tensor embedding = at::randn({4000, 24}) * at::linspace(0.1, 2, 24) + at::arange(24);
  const SpeechAdapter adapter = SpeechAdapter::random(96, embedding, 3);
  const at::Tensor vectors = adapter.forward(at::randn({4000, 96}));
  EXPECT_LE(largest((vectors.std(0) / embedding.std(0)).log()), 0.4);  // of 96 random weights
  EXPECT_LE(largest((vectors.mean(0) - embedding.mean(0)) / embedding.std(0)), 0.2);
  EXPECT_TRUE(SpeechAdapter::random(96, embedding, 3).weight.equal(adapter.weight));
  EXPECT_FALSE(SpeechAdapter::random(96, embedding, 4).weight.equal(adapter.weight));
}

TEST(SpeechAdapter, ComesBackAsWritten) {
  const test::TemporaryFolder folder;
  const SpeechAdapter adapter = SpeechAdapter::random(6, at::randn({20, 8}), 3);
  const auto path = folder / "adapter.safetensors";
  adapter.save(path);
  const SpeechAdapter read = SpeechAdapter::load(path, 6, 8);
  const at::Tensor features = at::randn({5, 6});
  EXPECT_TRUE(read.forward(features).equal(adapter.forward(features)));
  EXPECT_LE(largest(adapter.forward(features) - (features.mm(adapter.weight.t()) + adapter.bias)), 1e-6);
  EXPECT_EQ(read.to(at::kBFloat16).forward(features).scalar_type(), at::kBFloat16);
  EXPECT_CONTAINS(test::error_of([&] { SpeechAdapter::load(path, 7, 8); }),
                  "proj.weight has the shape [8, 6], but features of 7 and a decoder of 8 need [8, 7]");
  EXPECT_CONTAINS(test::error_of([&] { SpeechAdapter::load(folder / "none.safetensors", 6, 8); }), "none.safetensors");
  write_safetensors(path, {{"other", at::zeros({1})}});
  EXPECT_CONTAINS(test::error_of([&] { SpeechAdapter::load(path, 6, 8); }), "it is no speech adapter");
}

TEST(SpeechAdapter, VectorsStandWhereEmbeddingsWould) {
  const at::NoGradGuard no_grad;
  const test::TemporaryFolder folder;
  const auto reference = tiny_llama();
  std::vector<TensorToWrite> weights;
  for (const auto& [name, parameter] : reference->hugging_face_parameters())
    weights.emplace_back(name, parameter.detach());
  write_safetensors(folder / "model.safetensors", weights);
  const auto file = open_weights(folder / "model.safetensors");
  PackedLlama packed(tiny_config(), *file, PackedTypes::parse("float32"));

  // Vectors that are the embeddings of tokens give what those tokens give; half of the ids are replaced by them.
  const at::Tensor plain = at::randint(50, {600}, at::kLong);
  const at::Tensor vectors = reference->embedding().index_select(0, plain).flip(0);
  at::Tensor ids = plain.clone();
  for (int64_t i = 0; i < 600; i += 2) ids[i] = vector_id(599 - i);
  KeyValueCache first, second, third;
  const at::Tensor expected = packed.forward(plain, first);
  at::Tensor pieces = packed.forward(ids.slice(0, 0, 301), second, vectors);
  pieces = at::cat({pieces, packed.forward(ids.slice(0, 301), second, vectors)});
  EXPECT_TRUE(pieces.equal(expected));
  EXPECT_LE(largest(reference->forward(ids, third, vectors) - expected), 1e-3);
  EXPECT_LE(largest(reference->forward_packed(ids, {600}, false, {}, vectors) - expected), 1e-3);

  // Others do not.
  KeyValueCache fourth, fifth;
  const at::Tensor others = at::randn_like(vectors);
  const at::Tensor heard = packed.forward(ids, fourth, others);
  EXPECT_GT(largest(heard - expected), 0.1);
  EXPECT_LE(largest(reference->forward(ids, fifth, others) - heard), 1e-3);

  KeyValueCache cache;
  EXPECT_CONTAINS(test::error_of([&] { packed.forward(ids, cache); }), "no vector was given for it");
  EXPECT_CONTAINS(test::error_of([&] { packed.forward(ids, cache, others.slice(0, 0, 599)); }), "the token -600");
  EXPECT_CONTAINS(test::error_of([&] { packed.forward(ids, cache, others.slice(1, 0, 8)); }), "[600, 8]");
}

TEST(SpeechAdapter, GradientsAreThoseOfSmallChanges) {
  const auto model = tiny_llama();
  const at::Tensor features = at::randn({6, 5}), ids = at::tensor({3, -1, -2, -3, 7, 9, 4, -6, -5, -4, 8}, at::kLong);
  const std::vector<int64_t> lengths = {6, 5};
  const at::Tensor weights = at::randn({11, 32});
  for (const bool checkpointing : {false, true}) {
    SpeechAdapter adapter = SpeechAdapter::random(5, model->embedding().detach(), 2);
    const auto loss = [&] {
      const at::Tensor hidden = model->forward_packed(ids, lengths, checkpointing, {}, adapter.forward(features));
      return (hidden * weights).sum();
    };
    for (auto& [name, parameter] : adapter.parameters()) parameter.set_requires_grad(true);
    model->embedding().set_requires_grad(true);
    model->embedding().mutable_grad().reset();
    loss().backward();
    // A row that no token has gets no gradient, also row 0, which ids below 0 are read as.
    EXPECT_EQ(largest(model->embedding().grad()[0]), 0);
    EXPECT_GT(largest(model->embedding().grad()[3]), 0);
    for (auto& [name, parameter] : adapter.parameters()) {
      const at::NoGradGuard no_grad;
      const at::Tensor direction = at::randn_like(parameter), kept = parameter.clone();
      constexpr double kStep = 1e-3;
      parameter.copy_(kept + kStep * direction);
      const double up = loss().item<double>();
      parameter.copy_(kept - kStep * direction);
      const double down = loss().item<double>();
      parameter.copy_(kept);
      const double expected = (parameter.grad() * direction).sum().item<double>();
      EXPECT_GT(std::abs(expected), 0.1) << name;
      EXPECT_NEAR((up - down) / (2 * kStep), expected, 0.02 * std::abs(expected) + 0.02) << name;
    }
  }
}

}  // namespace
}  // namespace ichigo
