// An environment variable, set for as long as the object lives.
#pragma once
#include <cstdlib>
#include <string>

namespace ichigo::test {

class Environment {
 public:
  Environment(const std::string& name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name.c_str())) old_ = old;
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { old_.empty() ? ::unsetenv(name_.c_str()) : ::setenv(name_.c_str(), old_.c_str(), 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_, old_;
};

}  // namespace ichigo::test
