#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "temporary_folder.h"

namespace ichigo {
namespace {

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const test::TemporaryFolder folder;
  const auto path = folder / "deep/file.txt";
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_FALSE(std::filesystem::exists(path));
    file.commit();
  }
  EXPECT_EQ(read_file(path), "new");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
}

TEST(AtomicFile, LeavesTheOldFileWhenGivenUp) {
  const test::TemporaryFolder folder;
  write_file(folder / "file", "old");
  {
    AtomicFile file(folder / "file");
    file.write("half of the n");
  }
  EXPECT_EQ(read_file(folder / "file"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder / "file.part"));
}

TEST(AtomicFile, AFullDiskIsAnErrorThatChangesNothing) {
  const test::TemporaryFolder folder;
  write_file(folder / "file", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = test::error_of([&] { write_file(folder / "file", std::string(5000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_CONTAINS(message, "cannot write");
  EXPECT_CONTAINS(message, (folder / "file").string());
  EXPECT_EQ(read_file(folder / "file"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder / "file.part"));
}

TEST(AtomicFile, SaysWhatCannotBeOpened) {
  const test::TemporaryFolder folder;
  write_file(folder / "plain", "");
  EXPECT_CONTAINS(test::error_of([&] { write_file(folder / "plain/below", "x"); }), "plain/below");
  EXPECT_CONTAINS(test::error_of([&] { read_file(folder / "missing"); }), "missing");
  EXPECT_EQ(read_file(folder / "plain"), "");
  EXPECT_CONTAINS(test::error_of([&] { AtomicFile(folder.path()); }), "is a folder: name a file to write");
  EXPECT_CONTAINS(test::error_of([&] { AtomicFile("/dev/null"); }), "/dev/null is no regular file");
}

}  // namespace
}  // namespace ichigo
