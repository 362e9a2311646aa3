#include "cli/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/mapped_file.h"
#include "base/progress.h"

namespace ichigo {
namespace {

constexpr size_t kMaxText = 64'000'000;
constexpr int kTries = 3;
constexpr int64_t kMegabyte = 1'000'000;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

int stop_when_interrupted(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return interrupted() ? 1 : 0;
}

Curl make_request(const std::string& url, curl_write_callback write, void* target) {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  require(ready, "libcurl cannot be initialised");
  Curl curl(curl_easy_init(), curl_easy_cleanup);
  require(curl != nullptr, "libcurl cannot be initialised");
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https,file");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "ichigo");
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1000L);  // bytes a second ...
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, 60L);     // ... for this many seconds
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, write);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, target);
  return curl;
}

size_t append_text(char* data, size_t size, size_t count, void* target) {
  auto& text = *static_cast<std::string*>(target);
  if (text.size() + size * count > kMaxText) return 0;
  text.append(data, size * count);
  return size * count;
}

// PATH.part, open for appending.
struct PartialFile {
  PartialFile(const std::filesystem::path& path, int64_t size, const std::string& label)
      : descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)), limit(size) {
    require(descriptor >= 0, "cannot write ", path.string(), ": ", std::strerror(errno));
    done = ::lseek(descriptor, 0, SEEK_END);
    progress = std::make_unique<Progress>(label, size / kMegabyte, "MB", done / kMegabyte);
  }
  ~PartialFile() { ::close(descriptor); }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int descriptor;
  int64_t limit, done = 0;
  std::string problem;
  std::unique_ptr<Progress> progress;
};

size_t append_bytes(char* data, size_t size, size_t count, void* target) {
  auto& file = *static_cast<PartialFile*>(target);
  size_t left = size * count;
  if (file.done + static_cast<int64_t>(left) > file.limit) {
    file.problem = "it is larger than expected";
    return 0;
  }
  while (left > 0) {
    const ssize_t written = ::write(file.descriptor, data, left);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      file.problem = concat(std::strerror(errno),
                            "; make room there, or set ICHIGO_HOME to another folder, and run the command again to go on");
      return 0;
    }
    data += written;
    left -= static_cast<size_t>(written);
    file.done += written;
  }
  file.progress->update(file.done / kMegabyte);
  return size * count;
}

// One attempt; true when the whole file is there.
bool try_download(const std::string& url, const std::filesystem::path& partial, int64_t size, const std::string& label,
                  std::string& problem) {
  PartialFile file(partial, size, label);
  if (file.done == size) return true;
  const Curl curl = make_request(url, append_bytes, &file);
  curl_easy_setopt(curl.get(), CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(file.done));
  const CURLcode code = curl_easy_perform(curl.get());
  require(!interrupted(), "stopped; what arrived of ", label, " is kept, run the command again to go on");
  require(file.problem.empty(), "cannot download ", printable_url(url), " to ", partial.string(), ": ", file.problem);
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  // The server cannot continue, or not from here: begin anew at the next try.
  if (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || status == 416) {
    const bool cut = ::ftruncate(file.descriptor, 0) == 0;
    require(cut, "cannot write ", partial.string(), ": ", std::strerror(errno));
  }
  if (code == CURLE_OK) {
    file.progress->finish();
    return true;
  }
  problem = curl_easy_strerror(code);
  if (status >= 400) problem += " (" + std::to_string(status) + ")";
  return false;
}

}  // namespace

std::string file_sha256(const std::filesystem::path& path) {
  const MappedFile file(path);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  require(EVP_Digest(file.bytes().data(), file.bytes().size(), digest, &size, EVP_sha256(), nullptr) == 1,
          "libcrypto cannot compute SHA-256");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[digest[i] >> 4], kDigits[digest[i] & 15]};
  }
  return text;
}

std::string download_text(const std::string& url, const std::string& accept) {
  std::string text;
  const Curl curl = make_request(url, append_text, &text);
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
      curl_slist_append(nullptr, ("Accept: " + accept).c_str()), curl_slist_free_all);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  const CURLcode code = curl_easy_perform(curl.get());
  require(!interrupted(), "stopped");
  require(code == CURLE_OK, "cannot read ", printable_url(url), ": ", curl_easy_strerror(code));
  return text;
}

void download_file(const std::string& url, const std::filesystem::path& path, int64_t size, const std::string& sha256,
                   const std::string& label) {
  std::filesystem::create_directories(path.parent_path());
  const std::filesystem::path partial = path.string() + ".part";
  if (std::filesystem::exists(partial) && static_cast<int64_t>(std::filesystem::file_size(partial)) > size) {
    std::filesystem::remove(partial);
  }
  std::string problem;
  int tries = 0;
  while (!try_download(url, partial, size, label, problem)) {
    require(++tries < kTries, "cannot download ", printable_url(url), ": ", problem,
            "; run the command again to go on where it stopped");
  }
  const auto arrived = static_cast<int64_t>(std::filesystem::file_size(partial));
  const std::string sum = file_sha256(partial);
  if (arrived != size || sum != sha256) {
    std::filesystem::remove(partial);
    fail("the download ", printable_url(url), " is not what was expected and was deleted: ", arrived,
         " bytes with SHA-256 ", sum, " instead of ", size, " bytes with ", sha256);
  }
  std::filesystem::rename(partial, path);
}

std::string resolve_url(const std::string& base, const std::string& reference) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  char* text = nullptr;
  require(url != nullptr && curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) == CURLUE_OK &&
              curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), 0) == CURLUE_OK &&
              curl_url_get(url.get(), CURLUPART_URL, &text, 0) == CURLUE_OK,
          "\"", printable_url(reference), "\" on ", printable_url(base), " is not a URL");
  std::string resolved = text;
  curl_free(text);
  return resolved;
}

std::string printable_url(const std::string& url) {
  const auto begin = url.find("://");
  if (begin == std::string::npos) return url;
  const auto end = url.find('/', begin + 3);
  const auto at = url.substr(0, end).rfind('@');
  return at == std::string::npos || at < begin ? url : url.substr(0, begin + 3) + url.substr(at + 1);
}

}  // namespace ichigo
