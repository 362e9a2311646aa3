#include "evaluation/chat_endpoint.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "text/json_text.h"

namespace ichigo {
namespace {

using nlohmann::json;

constexpr size_t kMaxReply = 4'000'000;

struct Answer {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string body;
};

size_t append(char* data, size_t size, size_t count, void* target) {
  auto& text = *static_cast<std::string*>(target);
  if (text.size() + size * count > kMaxReply) return 0;
  text.append(data, size * count);
  return size * count;
}

int stop_when_interrupted(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return interrupted() ? 1 : 0;
}

// Redirections are not followed, so that the key goes nowhere else.
Answer post(const ChatEndpoint& endpoint, const std::string& url, const std::string& body) {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  require(ready && curl != nullptr, "libcurl cannot be initialised");
  curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
  if (!endpoint.key.empty()) list = curl_slist_append(list, ("Authorization: Bearer " + endpoint.key).c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, curl_slist_free_all);
  Answer answer;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "ichigo");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(1000 * endpoint.timeout));
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
  answer.code = curl_easy_perform(curl.get());
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

bool may_pass(const Answer& answer) {
  if (answer.code != CURLE_OK) return answer.code != CURLE_URL_MALFORMAT && answer.code != CURLE_UNSUPPORTED_PROTOCOL;
  return answer.status == 408 || answer.status == 429 || answer.status >= 500;
}

std::string reason(const Answer& answer) {
  if (answer.code != CURLE_OK) return curl_easy_strerror(answer.code);
  std::string text = concat("HTTP status ", answer.status);
  const json body = json::parse(answer.body, nullptr, false);
  if (body.is_object() && body.contains("error")) {
    const json& error = body["error"];
    const json message = error.is_object() ? error.value("message", json()) : error;
    if (message.is_string()) text += ": " + message.get<std::string>().substr(0, 300);
  }
  return text;
}

void wait(double seconds) {
  for (; seconds > 0 && !interrupted(); seconds -= 0.05) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(seconds, 0.05)));
  }
}

}  // namespace

std::string complete(const ChatEndpoint& endpoint, const std::string& message) {
  std::string url = endpoint.url;
  while (url.ends_with('/')) url.pop_back();
  url += "/chat/completions";
  const json request = {{"model", endpoint.model},
                        {"messages", {{{"role", "user"}, {"content", message}}}},
                        {"temperature", 0},
                        {"max_tokens", endpoint.max_tokens}};
  const std::string body = json_line(request);
  double pause = endpoint.first_wait;
  for (int tried = 1;; ++tried, pause *= 2) {
    const Answer answer = post(endpoint, url, body);
    require(!interrupted(), "stopped");
    if (answer.code == CURLE_OK && answer.status == 200) {
      const json reply = json::parse(answer.body, nullptr, false);
      const json::json_pointer place("/choices/0/message/content");
      require(reply.is_object() && reply.contains(place) && reply.at(place).is_string(), url,
              " answers something else than a chat completion");
      return reply.at(place).get<std::string>();
    }
    require(may_pass(answer) &&
                    tried<endpoint.tries, "cannot ask ", endpoint.model, " at ", url, ": ", reason(answer), tried> 1
                ? concat(" (after ", tried, " tries)")
                : "");
    wait(pause);
  }
}

}  // namespace ichigo
