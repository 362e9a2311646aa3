#include "weights/weight_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "files.h"
#include "golden.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

TEST(OpenWeights, KnowsFormatsByContent) {
  ICHIGO_GOLDEN_OR_SKIP(gguf, "gguf/q4_0.gguf");
  ICHIGO_GOLDEN_OR_SKIP(pickle, "whispervq/old_defaults.model");
  ICHIGO_GOLDEN_OR_SKIP(safetensors, "llama/llama3.2-tied/model.safetensors");
  const test::TemporaryFolder folder;
  int number = 0;
  for (const auto& [path, tensor] : {std::pair{gguf, "token_embd.weight"},
                                     {pickle, "rq.layers.0.project_in.weight"},
                                     {safetensors, "model.embed_tokens.weight"},
                                     {safetensors.parent_path(), "model.embed_tokens.weight"}}) {
    const auto anonymous = folder / std::to_string(number++);
    std::filesystem::create_symlink(path, anonymous);
    EXPECT_TRUE(open_weights(anonymous)->contains(tensor)) << path;
  }
}

TEST(OpenWeights, SaysWhatItCannotOpen) {
  const test::TemporaryFolder folder;
  write_file(folder / "text.bin", "no weights at all");
  write_file(folder / "empty.bin", "");
  test::expect_error([&] { open_weights(folder / "text.bin"); }, "no weight file");
  test::expect_error([&] { open_weights(folder / "empty.bin"); }, "is empty");
  test::expect_error([&] { open_weights(folder / "absent"); }, "does not exist");
  test::expect_error([&] { open_weights(folder.path()); }, "holds no weights");
}

TEST(OpenWeights, TensorsOutliveTheirFile) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "m.safetensors", {{"a", at::arange(1000), {}}});
  const at::Tensor a = open_weights(folder / "m.safetensors")->load("a");
  EXPECT_EQ(a.sum().item<int64_t>(), 499500);
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(WeightFile, ReleasedTensorsTakeNoMemoryAndStayReadable) {
  constexpr int64_t kMegabytes = 64, kFloats = kMegabytes * 1024 * 1024 / 4;
  const test::TemporaryFolder folder;
  write_safetensors(folder / "m.safetensors", {{"a", at::ones({kFloats}), {}}, {"b", at::arange(4), {}}});
  const auto file = open_weights(folder / "m.safetensors");
  const at::Tensor view = file->load("a");
  EXPECT_EQ(view.sum().item<double>(), kFloats);
  const int64_t before = resident_bytes();
  file->release("a");
  EXPECT_LT(resident_bytes(), before - kMegabytes * 900 * 1024);
  EXPECT_EQ(view[kFloats - 1].item<float>(), 1);
  file->release("b");  // shares a page with what is beside it
  EXPECT_TRUE(file->load("b").equal(at::arange(4)));
}

}  // namespace
}  // namespace ichigo
