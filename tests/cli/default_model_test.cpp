// The model that the repository ships, asked as a new user would: README's first commands must show real answers.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "evaluation/questions.h"

namespace ichigo {
namespace {

using nlohmann::json;

TEST(DefaultModel, AnswersTheSamples) {
  const std::filesystem::path root = ICHIGO_SOURCE_DIR;
  ASSERT_TRUE(std::filesystem::exists(root / "models/mini/config.json"));
  const std::pair<const char*, std::vector<std::string>> samples[] = {
      {"capital_of_france.wav", {"Paris"}},
      {"seven_plus_five.wav", {"twelve"}},
      {"who_are_you.wav", {"Ichigo"}},
      {"currency_of_japan.wav", {"yen"}},
      {"good_morning.wav", {"morning", "hello", "hi"}}};
  int right = 0;
  for (const auto& [name, accepted] : samples) {
    const auto asked = test::run_program({"ask", root / "samples" / name, "--json"});
    ASSERT_EQ(asked.code, 0) << asked.err;
    const json reply = json::parse(asked.out);
    EXPECT_TRUE(reply["model"].get<std::string>().ends_with("models/mini"));
    right += is_right(reply["answer"].get<std::string>(), accepted) ? 1 : 0;
  }
  EXPECT_GE(right, 4);
}

TEST(DefaultModel, IsInspectedAsOneModelOfSeveralFiles) {
  const auto folder = std::filesystem::path(ICHIGO_SOURCE_DIR) / "models/mini";
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().filename().string().starts_with("model-")) bytes += file.file_size();
  }
  const auto inspected = test::run_program({"inspect", folder, "--json"});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_EQ(nlohmann::json::parse(inspected.out)["bytes"], bytes);
}

}  // namespace
}  // namespace ichigo
