#include "base/plot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

bool run_gnuplot(const std::filesystem::path& script) {
  std::string name = "gnuplot", argument = script.string();
  char* arguments[] = {name.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  const bool started = ::posix_spawnp(&process, name.c_str(), &quiet, nullptr, arguments, environ) == 0;
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  return started && ::waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void draw_plot(const std::filesystem::path& file, int width, int height, const std::string& commands) {
  require(!std::filesystem::is_directory(file), file.string(), " is a folder: name the SVG file to draw");
  std::filesystem::path partial = file, script = file;
  partial += ".part";
  script += ".gnuplot.part";
  std::ostringstream text;
  text << "set terminal svg size " << width << "," << height << " dynamic\nset output " << partial << "\n"
       << commands << "set output\n";
  write_file(script, text.str());
  const bool done = run_gnuplot(script);
  std::error_code error;
  std::filesystem::remove(script, error);
  require(done, "gnuplot could not draw ", file.string(), "; is the package gnuplot-nox installed?");
  std::filesystem::rename(partial, file);
}

}  // namespace ichigo
