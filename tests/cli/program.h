// Runs the built program as a user would.
#pragma once
#include <sys/wait.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo::test {

struct Finished {
  int code = -1;
  std::string out, err;
};

inline std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// Without the surroundings' model and base weights, in an empty current folder. `setting`: NAME=VALUE in front.
inline Finished run_program(const std::vector<std::string>& arguments, const std::string& setting = "") {
  const TemporaryFolder folder;
  std::string command = "cd " + quoted(folder.path()) + " && ICHIGO_MODEL= ICHIGO_HOME=" + quoted(folder / "home") +
                        " " + setting + " " + quoted(ICHIGO_PROGRAM);
  for (const auto& argument : arguments) command += " " + quoted(argument);
  command += " >" + quoted(folder / "out") + " 2>" + quoted(folder / "err");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "out"), read_file(folder / "err")};
}

// Exit code, nothing on standard output, and one line on standard error that says `part`.
#define EXPECT_COMPLAINS(result, expected_code, part)                            \
  do {                                                                           \
    const ichigo::test::Finished& finished = (result);                           \
    EXPECT_EQ(finished.code, expected_code) << finished.err;                     \
    EXPECT_EQ(finished.out, "");                                                 \
    EXPECT_TRUE(finished.err.starts_with("ichigo: ")) << finished.err;           \
    EXPECT_EQ(finished.err.find('\n'), finished.err.size() - 1) << finished.err; \
    EXPECT_CONTAINS(finished.err, part);                                         \
  } while (false)

}  // namespace ichigo::test
