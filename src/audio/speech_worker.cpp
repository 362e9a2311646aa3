// One small process, split off when the first voice opens, splits off a process for each utterance. So every utterance
// starts from the same library state (the same samples again, whatever was said before, on any number of threads),
// and a crash inside a library is an error about one text.
// A request is a datagram with the descriptor of the pipe that the answer goes to.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "audio/voices.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr size_t kLongestText = 16384;

struct Request {
  VoiceSettings settings;
  uint32_t voice_size = 0, text_size = 0;
  char characters[kLongestText + 256];  // voice, then text
};
constexpr size_t kHeadSize = offsetof(Request, characters);

union Control {
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr align;
};

bool write_all(int descriptor, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

[[noreturn]] void answer(const Request& request, int out) {
  const Pcm pcm = speak_with_library({request.characters, request.voice_size},
                                     {request.characters + request.voice_size, request.text_size}, request.settings);
  const uint32_t head[2] = {static_cast<uint32_t>(pcm.rate), static_cast<uint32_t>(pcm.samples.size())};
  const bool sent =
      write_all(out, head, sizeof head) && write_all(out, pcm.samples.data(), pcm.samples.size() * sizeof(int16_t));
  ::_exit(sent ? 0 : 1);
}

// Ends when the last descriptor of the other side is closed.
[[noreturn]] void serve(int requests) {
  if (requests != 3) ::dup2(requests, 3);
  ::close_range(4, ~0U, 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
  std::signal(SIGCHLD, SIG_IGN);
  prepare_voices();
  static Request request;
  for (;;) {
    Control control{};
    iovec part{&request, sizeof request};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const ssize_t size = ::recvmsg(3, &message, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(0);
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (rights == nullptr) continue;
    int out = -1;
    std::memcpy(&out, CMSG_DATA(rights), sizeof out);
    if (::fork() == 0) answer(request, out);
    ::close(out);
  }
}

// The socket to the worker of this process.
int worker() {
  static const int socket = [] {
    int ends[2];
    const bool paired = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
    require(paired, "cannot start the speech worker: ", std::strerror(errno));
    const pid_t process = ::fork();
    require(process >= 0, "cannot start the speech worker: ", std::strerror(errno));
    if (process == 0) {
      ::close(ends[0]);
      serve(ends[1]);
    }
    ::close(ends[1]);
    return ends[0];
  }();
  return socket;
}

class ReadEnd {
 public:
  explicit ReadEnd(int descriptor) : descriptor_(descriptor) {}
  ~ReadEnd() { ::close(descriptor_); }
  ReadEnd(const ReadEnd&) = delete;
  ReadEnd& operator=(const ReadEnd&) = delete;

  bool read_all(void* data, size_t size) const {
    char* at = static_cast<char*>(data);
    while (size > 0) {
      const ssize_t got = ::read(descriptor_, at, size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += got;
      size -= static_cast<size_t>(got);
    }
    return true;
  }

 private:
  int descriptor_;
};

void send(const Request& request, int out) {
  Control control{};
  iovec part{const_cast<Request*>(&request), kHeadSize + request.voice_size + request.text_size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof out);
  std::memcpy(CMSG_DATA(rights), &out, sizeof out);
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(worker(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  require(sent >= 0, "the speech worker has ended: ", std::strerror(errno));
}

}  // namespace

void start_worker() {
  worker();
}

Audio speak_in_worker(const std::string& voice, const std::string& text, const VoiceSettings& settings) {
  require(text.size() <= kLongestText && voice.size() <= 256, "voice ", voice, " takes at most ", kLongestText,
          " bytes of text at once, not ", text.size());
  Request request;
  request.settings = settings;
  request.voice_size = static_cast<uint32_t>(voice.size());
  request.text_size = static_cast<uint32_t>(text.size());
  std::memcpy(request.characters, voice.data(), voice.size());
  std::memcpy(request.characters + voice.size(), text.data(), text.size());

  int ends[2];
  const bool piped = ::pipe2(ends, O_CLOEXEC) == 0;
  require(piped, "voice ", voice, ": ", std::strerror(errno));
  const ReadEnd answer(ends[0]);
  try {
    send(request, ends[1]);
  } catch (...) {
    ::close(ends[1]);
    throw;
  }
  ::close(ends[1]);
  uint32_t head[2] = {};
  std::vector<int16_t> samples;
  bool complete = answer.read_all(head, sizeof head);
  if (complete) {
    samples.resize(head[1]);
    complete = answer.read_all(samples.data(), samples.size() * sizeof(int16_t));
  }
  require(complete && !samples.empty() && head[0] > 0, "voice ", voice, " could not speak \"", text, "\"");
  Audio audio;
  audio.rate = static_cast<int>(head[0]);
  audio.samples.assign(samples.begin(), samples.end());
  for (auto& sample : audio.samples) sample /= 32768;
  return audio;
}

}  // namespace ichigo
