// Each optimiser against the program it was published in (golden vectors) and against its formulas.
#include "training/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "models/llama.h"
#include "temporary_folder.h"
#include "training/adam_mini.h"
#include "training/adamw.h"
#include "training/lion.h"
#include "training/optimizer_choice.h"
#include "training/schedule.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

at::Tensor leaf(const at::Tensor& values) {
  return values.clone().set_requires_grad(true);
}

// The rule by tensor operations, as on a GPU, in place of the one by elements (of parameters that are one chunk).
template <typename Rule>
class ByTensors : public Rule {
 public:
  using Rule::Rule;

 protected:
  void update_elements(Optimizer::Slot& slot, int64_t /*begin*/, int64_t /*count*/,
                       const Optimizer::Update& update) const override {
    slot.gradient.mul_(update.gradient_scale);
    this->update_tensor(slot, update);
  }
};

// Eight steps of a tiny Llama as transformers' model and schedule and the published optimiser NAME take them.
void compare_with_golden(const std::string& name, double peak, double tolerance,
                         const std::function<std::unique_ptr<Optimizer>(const Optimizer::NamedParameters&)>& make) {
  ICHIGO_GOLDEN_OR_SKIP(log_path, "training/" + name + "_log.json");
  const auto folder = log_path.parent_path();
  const auto rows = nlohmann::json::parse(read_file(log_path)).at("rows");
  const auto config = LlamaConfig::from_json(nlohmann::json::parse(read_file(folder / "config.json")));
  const auto start = open_safetensors(folder / "start.safetensors");
  const auto model = load_llama(config, *start, at::kFloat);
  const auto batches = open_safetensors(folder / "batches.safetensors")->load("ids");

  const auto parameters = model->hugging_face_parameters();
  for (auto [_, parameter] : parameters) parameter.set_requires_grad(true);
  const auto optimizer = make(parameters);
  ScheduleConfig schedule;
  schedule.peak = peak, schedule.warmup_steps = 3, schedule.total_steps = 20;

  for (int64_t step = 0; step < batches.size(0); ++step) {
    const auto ids = batches[step];
    const int64_t rows_per_step = ids.size(0), time = ids.size(1);
    const auto hidden = model->forward_packed(ids.flatten(), std::vector<int64_t>(rows_per_step, time));
    const auto logits = model->logits(hidden).view({rows_per_step, time, -1});
    const auto loss =
        at::cross_entropy_loss(logits.narrow(1, 0, time - 1).flatten(0, 1), ids.narrow(1, 1, time - 1).flatten());
    loss.backward();
    optimizer->accumulate();
    const double rate = learning_rate(schedule, step);
    const double norm = optimizer->step(rate);
    const double expected_rate = rows[step][0], expected_loss = rows[step][1], expected_norm = rows[step][2];
    EXPECT_NEAR(rate, expected_rate, 1e-5 * expected_rate);
    EXPECT_NEAR(loss.item<double>(), expected_loss, 1e-5 * expected_loss);
    EXPECT_NEAR(norm, expected_norm, 1e-5 * expected_norm);
  }
  const auto after = open_safetensors(folder / (name + "_after_8.safetensors"));
  for (const auto& [weight_name, weight] : optimizer->master_weights()) {
    EXPECT_LE((weight - after->load(weight_name)).abs().max().item<double>(), tolerance) << weight_name;
  }
}

OptimizerConfig golden_config(double beta2, double weight_decay) {
  OptimizerConfig config;
  config.beta2 = beta2, config.weight_decay = weight_decay;
  return config;
}

TEST(Optimizer, AdamWMatchesTorch) {
  const auto config = golden_config(0.999, 0.005);
  compare_with_golden("adamw", 2e-3, 1e-5, [&](auto& list) { return std::make_unique<AdamW>(list, config); });
  compare_with_golden("adamw", 2e-3, 1e-5,
                      [&](auto& list) { return std::make_unique<ByTensors<AdamW>>(list, config); });
}

TEST(Optimizer, LionMatchesLionPytorch) {
  const auto config = golden_config(0.99, 0.1);
  compare_with_golden("lion", 3e-4, 1e-6, [&](auto& list) { return std::make_unique<Lion>(list, config); });
  compare_with_golden("lion", 3e-4, 1e-6, [&](auto& list) { return std::make_unique<ByTensors<Lion>>(list, config); });
}

TEST(Optimizer, AdamMiniMatchesItsLibrary) {
  const auto config = golden_config(0.999, 0.005);
  compare_with_golden("adam_mini", 2e-3, 1e-5,
                      [&](auto& list) { return std::make_unique<AdamMini>(list, config, 16); });
  compare_with_golden("adam_mini", 2e-3, 1e-5,
                      [&](auto& list) { return std::make_unique<ByTensors<AdamMini>>(list, config, 16); });
}

// The textbook's formulas in double precision.
TEST(Optimizer, AdamWFollowsTheFormulas) {
  at::manual_seed(3);
  OptimizerConfig config;
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

// Over several chunks of elements and blocks, with clipping and two microbatches to a step.
TEST(Optimizer, LionFollowsTheFormulas) {
  at::manual_seed(3);
  OptimizerConfig config;
  config.beta2 = 0.99, config.clip = 0.5, config.weight_decay = 0.1;
  const auto parameter = leaf(at::randn({70000, 3}));
  Lion optimizer({{"w", parameter}}, config);
  auto weight = parameter.detach().to(at::kDouble), momentum = at::zeros_like(weight);
  const auto moving = at::rand({70000, 1}) < 0.9;  // rows that never have a gradient stay, but for the decay
  for (int step = 1; step <= 4; ++step) {
    auto gradient = at::zeros_like(weight);
    for (int microbatch = 0; microbatch < 2; ++microbatch) {
      const auto part = at::randn({70000, 3}) * moving;
      gradient += part.to(at::kDouble) * 0.25;
      parameter.mutable_grad() = part;
      optimizer.accumulate();
    }
    const double norm = optimizer.step(1e-2, 0.25);
    EXPECT_NEAR(norm, gradient.norm().item<double>(), 1e-6 * norm);
    gradient *= 0.5 / (norm + 1e-6);
    const auto direction = (momentum * 0.9 + gradient * 0.1).sign();
    weight = weight * (1 - 1e-2 * 0.1) - 1e-2 * direction;
    momentum = momentum * 0.99 + gradient * 0.01;
  }
  // A sum within rounding of zero may take either sign.
  const auto wrong = ((parameter.detach() - weight).abs() > 1e-5).sum().item<int64_t>();
  EXPECT_LE(wrong, 2);
}

TEST(Optimizer, AdamMiniFollowsTheFormulasBlockByBlock) {
  OptimizerConfig config;
  config.clip = 0, config.weight_decay = 0.1;
  struct Case {
    std::string name;
    std::vector<int64_t> shape;
    int64_t blocks;
  };
  const std::vector<Case> cases{
      {"layers.0.self_attn.q_proj.weight", {64, 40}, 4}, {"layers.0.self_attn.k_proj.weight", {32, 5000}, 2},
      {"layers.0.mlp.gate_proj.weight", {30, 3000}, 30}, {"model.embed_tokens.weight", {200, 7}, 200},
      {"layers.0.input_layernorm.weight", {40}, 1},      {"layers.0.self_attn.q_proj.bias", {40}, 40}};
  for (const auto& [name, shape, blocks] : cases) {
    at::manual_seed(4);
    const auto parameter = leaf(at::randn(shape));
    AdamMini optimizer({{name, parameter}}, config, 16);
    EXPECT_EQ(optimizer.state().at(name + ".second").numel(), blocks) << name;
    EXPECT_EQ(optimizer_state_size(OptimizerKind::kAdamMini, name, shape, 16), parameter.numel() + blocks) << name;
    auto weight = parameter.detach().to(at::kDouble).view({blocks, -1});
    auto first = at::zeros_like(weight), second = at::zeros({blocks, 1}, at::kDouble);
    const double decay = shape.size() > 1 ? 0.1 : 0;
    for (int step = 1; step <= 3; ++step) {
      const auto gradient = at::randn(shape);
      parameter.mutable_grad() = gradient.clone();
      optimizer.accumulate();
      optimizer.step(1e-2, 0.5);
      const auto g = gradient.to(at::kDouble).view({blocks, -1}) * 0.5;
      first = first * 0.9 + g * 0.1;
      second = second * 0.999 + g.square().mean(1, true) * 0.001;
      const auto denominator = (second / (1 - std::pow(0.999, step))).sqrt() + 1e-8;
      weight = weight * (1 - 1e-2 * decay) - 1e-2 * (first / (1 - std::pow(0.9, step))) / denominator;
    }
    EXPECT_LE((parameter.detach().view({blocks, -1}) - weight).abs().max().item<double>(), 1e-5) << name;
  }
}

// Two halves of the parameters, each told the other's squared norm, end where the whole does.
TEST(Optimizer, ClipsByTheNormOfAllRanks) {
  at::manual_seed(5);
  const auto start = at::randn({8, 6}), gradient = at::randn({8, 6});
  const auto train = [&](int64_t begin, int64_t rows, double elsewhere) {
    const auto parameter = leaf(start.narrow(0, begin, rows).contiguous());
    AdamW optimizer({{"w", parameter}}, {.clip = 0.5});
    optimizer.sum_norm_over_ranks([&](double squares) { return squares + elsewhere; });
    parameter.mutable_grad() = gradient.narrow(0, begin, rows).clone();
    optimizer.accumulate();
    EXPECT_NEAR(optimizer.step(1e-2), gradient.norm().item<double>(), 1e-5);
    return parameter.detach();
  };
  const auto squares = [&](int64_t begin) { return gradient.narrow(0, begin, 4).square().sum().item<double>(); };
  const auto halves = at::cat({train(0, 4, squares(4)), train(4, 4, squares(0))});
  EXPECT_LE((halves - train(0, 8, 0)).abs().max().item<double>(), 1e-7);
}

TEST(Optimizer, KeepsAFloat32TruthOfBfloat16Parameters) {
  OptimizerConfig config;
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
  const auto train = [](const at::Tensor& parameter, Optimizer& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      at::manual_seed(step);
      parameter.mutable_grad() = at::randn({500, 7});
      optimizer.accumulate();
      optimizer.step(1e-2);
    }
  };
  at::manual_seed(1);
  const auto start = at::randn({500, 7});
  for (const auto* name : {"adamw", "lion", "adam_mini"}) {
    const auto make = [&](const at::Tensor& parameter) {
      return make_optimizer(parse_optimizer(name), {{"w", parameter}}, {}, 1);
    };
    const auto whole = leaf(start), before = leaf(start), after = leaf(at::zeros({500, 7}));
    const auto optimizer = make(whole), first = make(before), second = make(after);
    train(whole, *optimizer, 0, 6);
    train(before, *first, 0, 3);
    second->load_state(first->state());
    train(after, *second, 3, 6);
    EXPECT_TRUE(at::equal(whole.detach(), after.detach())) << name;
    EXPECT_EQ(second->steps(), 6) << name;
  }
}

TEST(Optimizer, StateIsOfOneKindOnly) {
  const auto make = [](const char* name) {
    return make_optimizer(parse_optimizer(name), {{"w", leaf(at::ones({4, 3}))}}, {}, 1);
  };
  const auto state = make("adamw")->state();
  ASSERT_EQ(state.size(), 4U);
  for (const auto* key : {"w.master", "w.first", "w.second", "steps"}) EXPECT_TRUE(state.contains(key)) << key;
  EXPECT_CONTAINS(test::error_of([&] { make("lion")->load_state(state); }), "the optimiser that the run began with");
  EXPECT_CONTAINS(test::error_of([&] { make("adam_mini")->load_state(state); }), "w.second");
  EXPECT_CONTAINS(test::error_of([&] { make("adamw")->load_state(make("lion")->state()); }), "w.second");
}

TEST(Optimizer, RefusesWhatCannotBeRight) {
  const auto parameter = leaf(at::ones({3}));
  AdamW optimizer({{"w", parameter}}, {});
  parameter.mutable_grad() = at::full({3}, std::nan(""));
  optimizer.accumulate();
  EXPECT_THROW(optimizer.step(1e-3), Error);
  EXPECT_TRUE(at::equal(parameter.detach(), at::ones({3})));
  EXPECT_THROW(optimizer.load_state({}), Error);
  OptimizerConfig config;
  config.beta1 = 1;
  EXPECT_THROW(AdamW({}, config), Error);
  EXPECT_CONTAINS(test::error_of([] { parse_optimizer("sgd"); }), "adamw, lion or adam_mini");
  EXPECT_CONTAINS(test::error_of([] { adam_mini_block("q_proj.weight", {30, 8}, 16); }), "whole heads of 16");
}

}  // namespace
}  // namespace ichigo
