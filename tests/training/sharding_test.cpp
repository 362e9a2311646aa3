// Ranks as threads of one process, which talk to each other as processes do. tests/cli trains with real processes.
#include "training/sharding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "free_port.h"
#include "nn/linear_cross_entropy.h"
#include "temporary_folder.h"
#include "training/adamw.h"

namespace ichigo {
namespace {

// Runs `body` on each of so many ranks; what each says that it threw.
std::vector<std::string> on_ranks(int64_t ranks, const std::function<void(ProcessGroup&)>& body, double timeout = 60) {
  std::vector<std::string> errors(ranks);
  std::vector<std::thread> threads;
  const int64_t port = test::free_port();
  for (int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      errors[rank] = test::error_of([&] {
        ProcessGroup group({rank, ranks, 0, "127.0.0.1", port, timeout, ""});
        body(group);
      });
    });
  }
  for (auto& thread : threads) thread.join();
  return errors;
}

void expect_no_errors(const std::vector<std::string>& errors) {
  for (const auto& error : errors) EXPECT_EQ(error, "");
}

TEST(ProcessGroup, Collectives) {
  expect_no_errors(on_ranks(3, [](ProcessGroup& group) {
    const double rank = static_cast<double>(group.rank());
    for (const auto dtype : {at::kFloat, at::kBFloat16, at::kLong}) {
      const auto all = group.all_gather(at::full({5}, rank, dtype));
      ASSERT_EQ(all.scalar_type(), dtype);
      EXPECT_TRUE(at::equal(all, at::arange(3).to(dtype).unsqueeze(1).expand({3, 5})));
    }
    const auto rows = at::arange(6, at::kFloat).view({3, 2}) * (rank + 1);
    EXPECT_TRUE(at::equal(group.reduce_scatter(rows), at::arange(6, at::kFloat).view({3, 2})[group.rank()] * 6));
    EXPECT_EQ(group.sum({rank, 1}), (std::vector<double>{3, 3}));
    EXPECT_EQ(group.text_of_first(concat("from ", rank)), "from 0");
    EXPECT_EQ(group.text_of_first(""), "");
    group.require_same("answer", "42");
    group.barrier();
  }));
}

TEST(ProcessGroup, OneRankSendsNothing) {
  ProcessGroup group;
  EXPECT_TRUE(group.first());
  EXPECT_EQ(group.sum(3), 3);
  EXPECT_TRUE(at::equal(group.all_gather(at::ones({2})), at::ones({1, 2})));
  EXPECT_TRUE(at::equal(group.reduce_scatter(at::ones({1, 2})), at::ones({2})));
  EXPECT_EQ(group.text_of_first("a"), "a");
  group.require_same("answer", "42");
}

TEST(ProcessGroup, RefusesRanksThatDiffer) {
  for (const auto& error :
       on_ranks(3, [](ProcessGroup& group) { group.require_same("recipe", group.rank() == 2 ? "another" : "one"); })) {
    EXPECT_CONTAINS(error, "rank 2 has another recipe than rank 0");
  }
}

TEST(ProcessGroup, SaysThatARankIsLost) {
  const auto errors = on_ranks(3, [](ProcessGroup& group) {
    if (group.rank() == 2) fail("its own trouble");
    for (;;) group.barrier();
  });
  EXPECT_CONTAINS(errors[0], "rank 0 of 3 lost another rank");
  EXPECT_CONTAINS(errors[1], "rank 1 of 3 lost another rank");
  EXPECT_EQ(errors[2], "its own trouble");
}

TEST(ProcessGroup, NamesTheRanksThatDoNotCome) {
  const int64_t port = test::free_port();
  EXPECT_CONTAINS(test::error_of([&] {
                    ProcessGroup({0, 3, 0, "127.0.0.1", port, 2, ""});
                  }),
                  "ranks 1, 2 did not join at 127.0.0.1");
  EXPECT_CONTAINS(test::error_of([&] {
                    ProcessGroup({1, 3, 0, "127.0.0.1", port, 2, ""});
                  }),
                  "rank 1 of 3 cannot reach rank 0 at 127.0.0.1");
}

class Environment : public testing::Test {
 protected:
  static constexpr const char* kNames[] = {"RANK",        "WORLD_SIZE",  "LOCAL_RANK",
                                           "MASTER_ADDR", "MASTER_PORT", "ICHIGO_RANK_TIMEOUT"};
  void TearDown() override { clear(); }
  static void clear() {
    for (const char* name : kNames) ::unsetenv(name);
  }
  // One value for each of kNames; empty: not set.
  static std::string error_with(const std::vector<std::string>& values) {
    clear();
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i].empty()) ::setenv(kNames[i], values[i].c_str(), 1);
    }
    return test::error_of([] { ProcessGroupConfig::from_environment(); });
  }
};

TEST_F(Environment, IsReadAsTorchrunSetsIt) {
  clear();
  EXPECT_EQ(ProcessGroupConfig::from_environment().ranks, 1);
  EXPECT_EQ(error_with({"3", "4", "1", "node7", "29500", "30"}), "");
  const auto config = ProcessGroupConfig::from_environment();
  EXPECT_EQ(config.rank, 3);
  EXPECT_EQ(config.ranks, 4);
  EXPECT_EQ(config.local_rank, 1);
  EXPECT_EQ(config.master_address, "node7");
  EXPECT_EQ(config.master_port, 29500);
  EXPECT_EQ(config.timeout_seconds, 30);
}

TEST_F(Environment, RefusesWhatCannotBeRight) {
  EXPECT_CONTAINS(error_with({"2", "2", "", "here", "29500"}), "RANK must be a number from 0 to 1, not \"2\"");
  EXPECT_CONTAINS(error_with({"-1", "2", "", "here", "29500"}), "RANK");
  EXPECT_CONTAINS(error_with({"", "2", "", "here", "29500"}), "RANK must be a number from 0 to 1, not \"\"");
  EXPECT_CONTAINS(error_with({"0", "", "", "here", "29500"}), "no WORLD_SIZE");
  EXPECT_CONTAINS(error_with({"0", "0", "", "here", "29500"}), "WORLD_SIZE");
  EXPECT_CONTAINS(error_with({"0", "two", "", "here", "29500"}), "WORLD_SIZE");
  EXPECT_CONTAINS(error_with({"0", "2", "", "", "29500"}), "no MASTER_ADDR");
  EXPECT_CONTAINS(error_with({"0", "2", "", "here", "99999"}), "MASTER_PORT");
  EXPECT_CONTAINS(error_with({"0", "2", "", "here", "29500", "0"}), "ICHIGO_RANK_TIMEOUT");
}

struct Tiny {
  LlamaConfig config;
  std::shared_ptr<Llama> model;
  at::Tensor ids = at::arange(40) % 37;
  std::vector<int64_t> lengths = {15, 25};

  // Odd numbers, so that rows do not divide evenly.
  Tiny() {
    config.hidden_size = 24;
    config.intermediate_size = 37;
    config.num_hidden_layers = 4;
    config.num_attention_heads = 3;
    config.num_key_value_heads = 1;
    config.head_dim = 8;
    config.vocab_size = 37;
    config.attention_bias = true;
    model = std::make_shared<Llama>(config);
    for (auto& [name, parameter] : model->hugging_face_parameters()) {
      const at::NoGradGuard no_grad;
      parameter.copy_(values(name, parameter.sizes()));
      parameter.set_requires_grad(true);
    }
  }

  // The same on every rank.
  static at::Tensor values(const std::string& name, at::IntArrayRef shape) {
    const auto count = c10::multiply_integers(shape);
    return (at::sin(at::arange(count, at::kFloat) * static_cast<double>(name.size())) * 0.3).view(shape);
  }

  at::Tensor loss(bool checkpointing) const {
    return linear_cross_entropy(model->forward_packed(ids, lengths, checkpointing), model->head(),
                                at::remainder(ids + 1, 37));
  }
};

class ShardingTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Checkpointing, ShardingTest, testing::Bool());

// Gradients summed over ranks, one of which has no batch, are those of the whole model times the others.
TEST_P(ShardingTest, GivesTheGradientsOfTheWholeModel) {
  const Tiny whole;
  whole.loss(GetParam()).backward();
  std::map<std::string, at::Tensor> expected;
  for (auto& [name, parameter] : whole.model->hugging_face_parameters()) expected[name] = parameter.grad();

  expect_no_errors(on_ranks(3, [&](ProcessGroup& group) {
    const Tiny tiny;
    int64_t units = 0;
    Sharding sharding(group, *tiny.model, tiny.model->hugging_face_parameters(), [&] { ++units; });
    sharding.gather_rest();
    if (group.rank() < 2) {
      const at::Tensor loss = tiny.loss(GetParam());
      EXPECT_NEAR(loss.item<double>(), whole.loss(false).item<double>(), 1e-4);
      loss.backward();
    } else {
      sharding.pass(true);
    }
    sharding.scatter_rest();
    sharding.free_rest();
    EXPECT_EQ(units, tiny.config.num_hidden_layers + 2);  // and the embedding and the last norm
    for (auto& [name, piece] : sharding.pieces()) {
      const auto own = sharding.own_rows(name, expected.at(name)) * 2;
      EXPECT_LE((piece.grad() - own).abs().max().item<double>(), 1e-5 * (1 + own.abs().max().item<double>())) << name;
    }
    for (auto& [name, parameter] : tiny.model->hugging_face_parameters())
      EXPECT_EQ(parameter.storage().nbytes(), 0) << name;
  }));
}

TEST(Sharding, EachRankHoldsItsShare) {
  constexpr int64_t kRanks = 4;
  Tiny whole;
  AdamW all(whole.model->hugging_face_parameters(), {});
  const auto bytes_of = [](const std::map<std::string, at::Tensor>& state) {
    double bytes = 0;
    for (const auto& [name, tensor] : state) bytes += static_cast<double>(tensor.nbytes());
    return bytes;
  };
  const double whole_state = bytes_of(all.state());
  double whole_parameters = 0;
  for (auto& [name, parameter] : whole.model->hugging_face_parameters())
    whole_parameters += static_cast<double>(parameter.nbytes());
  expect_no_errors(on_ranks(kRanks, [&](ProcessGroup& group) {
    const Tiny tiny;
    Sharding sharding(group, *tiny.model, tiny.model->hugging_face_parameters(), [] {});
    const AdamW part(sharding.pieces(), {});
    // Rows of a tiny model divide badly: vectors are whole on rank 0.
    EXPECT_LE(bytes_of(part.state()), 1.3 * whole_state / kRanks);
    EXPECT_LE(static_cast<double>(sharding.bytes()), 1.3 * whole_parameters / kRanks);
    const double states = group.sum(bytes_of(part.state()) - 8);  // but for the number of steps
    EXPECT_EQ(states, whole_state - 8);
    int64_t most = 0;
    sharding.gather_rest();
    tiny.model->forward_packed(tiny.ids, tiny.lengths, false,
                               [&](int64_t, const at::Tensor&) { most = std::max(most, sharding.bytes()); });
    EXPECT_LE(static_cast<double>(most), 0.6 * whole_parameters);
  }));
}

TEST(Sharding, StatesComeTogetherAndApart) {
  Tiny whole;
  std::map<std::string, at::Tensor> state;
  for (auto& [name, parameter] : whole.model->hugging_face_parameters()) {
    state[name] = parameter.detach();
    state[name + ".first"] = parameter.detach() * 2;
    // One value a head or a vector, as Adam-mini has.
    if (parameter.dim() == 1) state[name + ".block"] = at::full({1}, 7);
    if (name.ends_with("q_proj.weight")) state[name + ".block"] = at::arange(whole.config.num_attention_heads);
  }
  state["steps"] = at::full({1}, 5, at::kLong);
  expect_no_errors(on_ranks(3, [&](ProcessGroup& group) {
    const Tiny tiny;
    Sharding sharding(group, *tiny.model, tiny.model->hugging_face_parameters(), [] {});
    const auto own = sharding.own_part(state);
    EXPECT_EQ(own.size() < state.size(), group.rank() > 0);
    size_t count = 0;
    for (const auto& tensor : sharding.gathered(own)) {
      const auto together = tensor.load();
      EXPECT_EQ(tensor.shape, together.sizes().vec());
      EXPECT_TRUE(at::equal(together, state.at(tensor.name))) << tensor.name;
      ++count;
    }
    EXPECT_EQ(count, state.size());
  }));
}

}  // namespace
}  // namespace ichigo
