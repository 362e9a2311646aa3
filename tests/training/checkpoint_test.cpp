#include "training/checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "base/atomic_file.h"
#include "base/error.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

Checkpoint example(int64_t step) {
  return {step, {{"weights", at::arange(1000, at::kFloat) * static_cast<double>(step)}}, {{"position", step * 10}}};
}

TEST(Checkpoint, ComesBackAsSaved) {
  const test::TemporaryFolder folder;
  EXPECT_FALSE(load_newest_checkpoint(folder.path()).has_value());
  EXPECT_FALSE(load_newest_checkpoint(folder.path() / "absent").has_value());
  for (const int64_t step : {100, 200, 1000}) save_checkpoint(folder.path(), example(step));
  const auto loaded = load_newest_checkpoint(folder.path());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->step, 1000);
  EXPECT_EQ(loaded->values.at("position"), 10000);
  EXPECT_TRUE(at::equal(loaded->tensors.at("weights"), example(1000).tensors.at("weights")));
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoint-000100"));  // the newest two are kept
  EXPECT_TRUE(fs::exists(folder.path() / "checkpoint-000200"));
}

TEST(Checkpoint, IgnoresWhatAKillLeftBehind) {
  const test::TemporaryFolder folder;
  save_checkpoint(folder.path(), example(5));
  fs::create_directories(folder.path() / "checkpoint-000007.part");
  write_file(folder.path() / "checkpoint-000007.part/state.safetensors", "half");
  fs::create_directories(folder.path() / "checkpoint-000008");  // without its files
  fs::copy(folder.path() / "checkpoint-000005", folder.path() / "checkpoint-000009");
  fs::resize_file(folder.path() / "checkpoint-000009/state.safetensors", 1000);  // a disk that lied
  const auto loaded = load_newest_checkpoint(folder.path());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->step, 5);
  save_checkpoint(folder.path(), example(7));
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoint-000007.part"));
}

TEST(Checkpoint, RefusesToStartOverWhenAllAreDamaged) {
  const test::TemporaryFolder folder;
  save_checkpoint(folder.path(), example(5));
  write_file(folder.path() / "checkpoint-000005/state.json", "[1");
  EXPECT_THROW(load_newest_checkpoint(folder.path()), Error);
}

// A limit on the size of files stands for the full disk; in a process of its own, since the limit is.
TEST(Checkpoint, FullDiskLeavesOlderOnesAsTheyWere) {
  const test::TemporaryFolder folder;
  save_checkpoint(folder.path(), example(1));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1024, 1024};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save_checkpoint(folder.path(), example(2));
    } catch (const Error&) {
      ::_exit(42);
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  int64_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++entries;
  EXPECT_EQ(entries, 1);
  EXPECT_EQ(load_newest_checkpoint(folder.path())->step, 1);
}

}  // namespace
}  // namespace ichigo
