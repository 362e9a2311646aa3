// The one exception type of the project. Its message is one sentence: what, where and what to do.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace ichigo {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Concatenates its arguments as a stream would print them.
template <typename... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

// Throws Error with the concatenated arguments as its message.
template <typename... Args>
[[noreturn]] void fail(const Args&... args) {
  throw Error(concat(args...));
}

// Throws unless `condition` holds.
template <typename... Args>
void require(bool condition, const Args&... args) {
  if (!condition) fail(args...);
}

}  // namespace ichigo
