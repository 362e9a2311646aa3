#include "training/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "models/llama.h"
#include "training/schedule.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

at::Tensor leaf(const at::Tensor& values) {
  return values.clone().set_requires_grad(true);
}

// Eight steps of a tiny Llama as PyTorch's AdamW, transformers' model and schedule take them.
TEST(Optimizer, MatchesTorchOnATinyLlama) {
  ICHIGO_GOLDEN_OR_SKIP(log_path, "training/adamw_log.json");
  const auto folder = log_path.parent_path();
  const auto rows = nlohmann::json::parse(read_file(log_path)).at("rows");
  const auto config = LlamaConfig::from_json(nlohmann::json::parse(read_file(folder / "config.json")));
  const auto start = open_safetensors(folder / "start.safetensors");
  const auto model = load_llama(config, *start, at::kFloat);
  const auto batches = open_safetensors(folder / "batches.safetensors")->load("ids");

  const auto parameters = model->hugging_face_parameters();
  for (auto [name, parameter] : parameters) parameter.set_requires_grad(true);
  AdamWConfig adamw;
  adamw.weight_decay = 0.005;
  AdamW optimizer(parameters, adamw);
  ScheduleConfig schedule;
  schedule.peak = 2e-3, schedule.warmup_steps = 3, schedule.total_steps = 20;

  for (int64_t step = 0; step < batches.size(0); ++step) {
    const auto ids = batches[step];
    const int64_t rows_per_step = ids.size(0), time = ids.size(1);
    const auto hidden = model->forward_packed(ids.flatten(), std::vector<int64_t>(rows_per_step, time));
    const auto logits = model->logits(hidden).view({rows_per_step, time, -1});
    const auto loss =
        at::cross_entropy_loss(logits.narrow(1, 0, time - 1).flatten(0, 1), ids.narrow(1, 1, time - 1).flatten());
    loss.backward();
    optimizer.accumulate();
    const double rate = learning_rate(schedule, step);
    const double norm = optimizer.step(rate);
    const double expected_rate = rows[step][0], expected_loss = rows[step][1], expected_norm = rows[step][2];
    EXPECT_NEAR(rate, expected_rate, 1e-5 * expected_rate);
    EXPECT_NEAR(loss.item<double>(), expected_loss, 1e-5 * expected_loss);
    EXPECT_NEAR(norm, expected_norm, 1e-5 * expected_norm);
  }
  const auto after = open_safetensors(folder / "adamw_after_8.safetensors");
  for (const auto& [name, weight] : optimizer.master_weights()) {
    EXPECT_LE((weight - after->load(name)).abs().max().item<double>(), 1e-5) << name;
  }
}

// The textbook's formulas in double precision.
TEST(Optimizer, FollowsTheFormulas) {
  at::manual_seed(3);
  AdamWConfig config;
  config.clip = 0.5, config.weight_decay = 0.1;
  const auto parameter = leaf(at::randn({70000, 3}));  // more than one chunk
  AdamW optimizer({{"w", parameter}}, config);
  auto weight = parameter.detach().to(at::kDouble), first = at::zeros_like(weight), second = at::zeros_like(weight);
  for (int step = 1; step <= 4; ++step) {
    const auto half = at::randn({70000, 3}), other = at::randn({70000, 3});
    for (const auto& gradient : {half, other}) {
      parameter.mutable_grad() = gradient.clone();
      optimizer.accumulate();
    }
    const double norm = optimizer.step(1e-2, 0.25);
    auto gradient = (half.to(at::kDouble) + other.to(at::kDouble)) * 0.25;
    const double expected_norm = gradient.norm().item<double>();
    EXPECT_NEAR(norm, expected_norm, 1e-6 * expected_norm);
    gradient = gradient * std::min(1.0, 0.5 / (expected_norm + 1e-6));
    first = first * 0.9 + gradient * 0.1;
    second = second * 0.999 + gradient * gradient * 0.001;
    const auto denominator = (second / (1 - std::pow(0.999, step))).sqrt() + 1e-8;
    weight = weight * (1 - 1e-2 * 0.1) - 1e-2 * (first / (1 - std::pow(0.9, step))) / denominator;
  }
  EXPECT_LE((parameter.detach() - weight).abs().max().item<double>(), 1e-5);
}

TEST(Optimizer, KeepsAFloat32TruthOfBfloat16Parameters) {
  AdamWConfig config;
  config.weight_decay = 0, config.clip = 0;
  const auto exact = at::linspace(1.0, 2.0, 1000);
  const auto parameter = leaf(exact.to(at::kBFloat16));
  AdamW optimizer({{"w", parameter}}, config, {{"w", exact}});
  EXPECT_TRUE(at::equal(optimizer.master_weights().at("w"), exact));
  // A step far below bfloat16's resolution must add up in the masters.
  for (int step = 0; step < 50; ++step) {
    parameter.mutable_grad() = at::ones({1000}, at::kBFloat16);
    optimizer.accumulate();
    optimizer.step(1e-4);
  }
  const auto master = optimizer.master_weights().at("w");
  EXPECT_NEAR((exact - master).mean().item<double>(), 50 * 1e-4, 1e-6);
  EXPECT_TRUE(at::equal(parameter.detach(), master.to(at::kBFloat16)));
}

TEST(Optimizer, GoesOnBitIdenticallyFromItsState) {
  const auto train = [](const at::Tensor& parameter, AdamW& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      at::manual_seed(step);
      parameter.mutable_grad() = at::randn({500, 7});
      optimizer.accumulate();
      optimizer.step(1e-2);
    }
  };
  at::manual_seed(1);
  const auto start = at::randn({500, 7});
  const auto whole = leaf(start), before = leaf(start), after = leaf(at::zeros({500, 7}));
  AdamW optimizer({{"w", whole}}, {}), first({{"w", before}}, {}), second({{"w", after}}, {});
  train(whole, optimizer, 0, 6);
  train(before, first, 0, 3);
  second.load_state(first.state());
  train(after, second, 3, 6);
  EXPECT_TRUE(at::equal(whole.detach(), after.detach()));
  EXPECT_EQ(second.steps(), 6);
}

TEST(Optimizer, RefusesWhatCannotBeRight) {
  const auto parameter = leaf(at::ones({3}));
  AdamW optimizer({{"w", parameter}}, {});
  parameter.mutable_grad() = at::full({3}, std::nan(""));
  optimizer.accumulate();
  EXPECT_THROW(optimizer.step(1e-3), Error);
  EXPECT_TRUE(at::equal(parameter.detach(), at::ones({3})));
  EXPECT_THROW(optimizer.load_state({}), Error);
  AdamWConfig config;
  config.beta1 = 1;
  EXPECT_THROW(AdamW({}, config), Error);
}

}  // namespace
}  // namespace ichigo
