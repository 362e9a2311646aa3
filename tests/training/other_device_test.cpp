// Training on a device that is not the processor, without a GPU: libtorch's lazy tensors refuse to be mixed with the
// processor's as a GPU's do, and compute on the processor in the end.
#include <gtest/gtest.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/lazy/ts_backend/ts_backend_impl.h>

#include "temporary_folder.h"
#include "tiny_decoder.h"
#include "training/trainers.h"

namespace ichigo {
namespace {

class OtherDeviceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    torch::lazy::InitTorchScriptBackend();
    // Every step is another program for it, which is run once.
    torch::jit::setGraphExecutorOptimize(false);
    torch::jit::getExecutorMode() = false;
  }
  void SetUp() override { test::write_tiny_decoder(folder_.path()); }

  test::TemporaryFolder folder_;
  const c10::Device other_{c10::kLazy, 0};
};

TEST_F(OtherDeviceTest, TrainsAsTheProcessorDoes) {
  for (const std::string optimizer : {"adamw", "lion", "adam_mini"}) {
    const std::string more = "bf16: false\noptimizer: " + optimizer + "\nletter_loss: {weight: 0.5, layer: 0}\n";
    const std::string other = optimizer + "_other";
    train(test::tiny_recipe(folder_.path(), optimizer, more), {.stop_after_steps = 2, .device = c10::kCPU});
    train(test::tiny_recipe(folder_.path(), other, more + "activation_checkpointing: true\n"),
          {.stop_after_steps = 2, .device = other_});
    const auto expected = test::metrics_of(folder_ / optimizer), lines = test::metrics_of(folder_ / other);
    ASSERT_EQ(lines.size(), 2U);
    for (size_t i = 0; i < lines.size(); ++i) {
      for (const char* figure : {"loss", "letter_loss", "gradient_norm"}) {
        const auto value = expected[i].at(figure).get<double>();
        EXPECT_NEAR(lines[i].at(figure).get<double>(), value, 1e-3 * value) << optimizer << ", step " << i << ": " << figure;
      }
    }
  }
}

}  // namespace
}  // namespace ichigo
