// A language model behind an OpenAI-compatible interface: POST URL/chat/completions.
#pragma once
#include <cstdint>
#include <string>

namespace ichigo {

struct ChatEndpoint {
  std::string url;        // "http://localhost:8000/v1"
  std::string model;      // as the server calls it
  std::string key;        // sent as "Authorization: Bearer KEY"; empty: not sent
  double timeout = 120;   // of a request, in seconds
  int tries = 4;          // of a request that failed for a reason that may pass (no connection, 408, 429, 5xx)
  double first_wait = 1;  // seconds before the second try; each further wait is twice as long
  int64_t max_tokens = 500;
};

// What the model answers to one message of the user, at temperature 0. Throws Error that names the URL (never the key)
// and the reason; also when the user interrupts.
std::string complete(const ChatEndpoint& endpoint, const std::string& message);

}  // namespace ichigo
