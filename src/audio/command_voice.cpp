// Any program that turns text into a WAV file, run through the shell.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "audio/voices.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/temporary_folder.h"

extern "C" char** environ;

namespace ichigo {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

// All places at once, so that a value which looks like a place stays a value.
std::string fill_in(const std::string& command, const std::vector<std::pair<std::string, std::string>>& values) {
  std::string result;
  for (size_t i = 0; i < command.size();) {
    const std::pair<std::string, std::string>* place = nullptr;
    for (const auto& value : values) {
      if (command.compare(i, value.first.size(), value.first) == 0) place = &value;
    }
    result += place == nullptr ? std::string(1, command[i]) : place->second;
    i += place == nullptr ? 1 : place->first.size();
  }
  return result;
}

// Returns the exit status; the command's standard output is dropped, its errors are shown.
int run_shell(const std::string& command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const char* arguments[] = {"sh", "-c", command.c_str(), nullptr};
  pid_t process = 0;
  const int error = ::posix_spawn(&process, "/bin/sh", &actions, nullptr, const_cast<char**>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  require(error == 0, "cannot run a shell: ", std::strerror(error));
  int status = 0;
  while (::waitpid(process, &status, 0) < 0) require(errno == EINTR, "lost a command: ", std::strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class CommandVoice : public TextToSpeech {
 public:
  CommandVoice(std::string name, std::string command) : name_(std::move(name)), command_(std::move(command)) {}

  Audio speak(const std::string& text, const VoiceSettings& /*settings*/) override {
    require(text.find('\0') == std::string::npos, "voice ", name_, ": the text holds a zero byte");
    const TemporaryFolder folder;
    const auto out = folder.path() / "out.wav";
    const auto text_file = folder.path() / "text.txt";
    write_file(text_file, text + "\n");
    const int status = run_shell(fill_in(
        command_,
        {{"{text}", quoted(text)}, {"{text_file}", quoted(text_file.string())}, {"{out}", quoted(out.string())}}));
    require(status == 0, "voice ", name_, " ended with status ", status, " on \"", text, "\"",
            status == 127 ? ": is its program installed?" : "");
    try {
      return read_audio_native(out);
    } catch (const Error& error) {
      fail("voice ", name_, " wrote no sound for \"", text, "\": ", error.what());
    }
  }

 private:
  std::string name_, command_;
};

}  // namespace

std::unique_ptr<TextToSpeech> open_command_voice(const std::string& name, const std::string& command) {
  require(command.find("{out}") != std::string::npos && command.find("{text") != std::string::npos, "voice \"", name,
          "\" needs {out} and {text} or {text_file} in its command");
  return std::make_unique<CommandVoice>(name, command);
}

}  // namespace ichigo
