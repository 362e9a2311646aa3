// A folder of its own for one test, gone when the test ends; and what an error says.
#pragma once
#include <gtest/gtest.h>

#include <exception>
#include <string>

#include "base/temporary_folder.h"

namespace ichigo::test {

using ichigo::TemporaryFolder;

// The message of the exception that `call` throws, "" when it throws none.
template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace ichigo::test

#define EXPECT_CONTAINS(text, part) EXPECT_PRED_FORMAT2(::testing::IsSubstring, std::string(part), std::string(text))
