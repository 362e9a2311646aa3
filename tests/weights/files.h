// Small files for tests, whole and broken ones.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/atomic_file.h"
#include "base/error.h"
#include "temporary_folder.h"

namespace ichigo::test {

// Expects `action` to throw an Error whose message holds `part`.
inline void expect_error(const std::function<void()>& action, const std::string& part) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one about: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "the error was: " << error.what();
  }
}

// The bytes of a number as it stands in a file.
template <typename T>
std::string bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

}  // namespace ichigo::test
