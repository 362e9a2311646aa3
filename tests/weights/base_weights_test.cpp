#include "weights/base_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "environment.h"
#include "files.h"
#include "weights/ctranslate2.h"
#include "weights/model_directory.h"

namespace ichigo {
namespace {

using test::Environment;

TEST(BaseWeights, LieWhereTheEnvironmentSays) {
  const Environment cache("XDG_CACHE_HOME", "/c"), home("HOME", "/h");
  {
    const Environment ichigo("ICHIGO_HOME", "/i");
    EXPECT_EQ(base_folder(), "/i/base");
  }
  const Environment none("ICHIGO_HOME", "");
  EXPECT_EQ(base_folder(), "/c/ichigo/base");
  const Environment no_cache("XDG_CACHE_HOME", "");
  EXPECT_EQ(base_folder(), "/h/.cache/ichigo/base");
  test::expect_error([] { require_base("whisper-tiny.en"); }, "ichigo fetch base");
}

TEST(BaseWeights, SmolLm2Opens) {
  const auto folder = base_folder() / "smollm2-135m-instruct";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no base weights here; ichigo fetch base brings them";
  const auto model = open_model_directory(folder);
  EXPECT_EQ(model.config["num_hidden_layers"], 30);
  EXPECT_EQ(model.config["tie_word_embeddings"], true);
  EXPECT_EQ(model.tokenizer.vocabulary_size(), 49152);
  EXPECT_EQ(model.stop_tokens, (std::vector<int64_t>{2}));
  int64_t parameters = 0;
  for (const auto& [name, info] : model.weights->tensors()) {
    const at::Tensor tensor = model.weights->load_as(name, at::kBFloat16);
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
    parameters += tensor.numel();
  }
  EXPECT_EQ(parameters, 134515008);
}

TEST(BaseWeights, WhisperOpens) {
  const auto folder = base_folder() / "whisper-tiny.en";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no base weights here; ichigo fetch base brings them";
  const auto file = open_ctranslate2(folder);
  EXPECT_EQ(file->specification(), "WhisperSpec");
  EXPECT_EQ(file->load("decoder/embeddings/weight").sizes(), (std::vector<int64_t>{51864, 384}));
  for (const auto& [name, info] : file->tensors()) {
    EXPECT_TRUE(at::isfinite(file->load(name).to(at::kFloat)).all().item<bool>()) << name;
  }
}

}  // namespace
}  // namespace ichigo
