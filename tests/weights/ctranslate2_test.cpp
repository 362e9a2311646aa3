#include "weights/ctranslate2.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "files.h"

namespace ichigo {
namespace {

std::string text(const std::string& value) {
  return test::bytes(static_cast<uint16_t>(value.size() + 1)) + value + std::string(1, '\0');
}

std::string variable(const std::string& name, const std::vector<uint32_t>& shape, uint8_t type, uint32_t size,
                     const std::string& data) {
  std::string result = text(name) + test::bytes(static_cast<uint8_t>(shape.size()));
  for (const uint32_t extent : shape) result += test::bytes(extent);
  return result + test::bytes(type) + test::bytes(size) + data;
}

std::string model(const std::vector<std::string>& variables, const std::string& aliases = test::bytes(uint32_t{0}),
                  uint32_t version = 6) {
  std::string result = test::bytes(version) + text("WhisperSpec") + test::bytes(uint32_t{3}) +
                       test::bytes(static_cast<uint32_t>(variables.size()));
  for (const auto& one : variables) result += one;
  return result + aliases;
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

TEST(Ctranslate2, ReadsEveryTypeAndAliases) {
  const test::TemporaryFolder folder;
  const std::string aliases = test::bytes(uint32_t{1}) + text("b") + text("a");
  write_file(
      folder / "model.bin",
      model({variable("flag", {}, 1, 1, "\1"), variable("a", {2, 1}, 0, 8, floats({1.5, -2})),
             variable("half", {1}, 4, 2, test::bytes(uint16_t{0x3C00})),
             variable("w", {2, 2}, 1, 4, std::string("\x7f\x81\x0a\x00", 4)),
             variable("w_scale", {2}, 0, 8, floats({127, 2})), variable("number", {1}, 3, 4, test::bytes(int32_t{-7}))},
            aliases));
  const auto file = open_ctranslate2(folder.path());
  EXPECT_EQ(file->specification(), "WhisperSpec");
  EXPECT_EQ(file->load("flag").item<int>(), 1);
  EXPECT_EQ(file->load("number").item<int>(), -7);
  EXPECT_EQ(file->load("half").item<float>(), 1.0F);
  EXPECT_TRUE(file->load("b").equal(at::tensor({1.5F, -2.0F}).reshape({2, 1})));
  EXPECT_TRUE(file->load("w").equal(at::tensor({1.0F, -1.0F, 5.0F, 0.0F}).reshape({2, 2})));
  EXPECT_TRUE(open_weights(folder / "model.bin")->contains("w"));
}

TEST(Ctranslate2, RefusesHostileFiles) {
  const test::TemporaryFolder folder;
  const auto refuse = [&](const std::string& content, const std::string& part) {
    write_file(folder / "model.bin", content);
    test::expect_error([&] { open_ctranslate2(folder / "model.bin"); }, part);
  };
  const std::string a = variable("a", {2}, 0, 8, floats({1, 2}));
  const std::string whole = model({a});
  for (size_t size = 0; size < whole.size(); ++size) refuse(whole.substr(0, size), "cut off");
  refuse(whole + "x", "too many");
  refuse(model({a}, test::bytes(uint32_t{0}), 4), "version 4");
  refuse(model({variable("a", {2}, 9, 8, floats({1, 2}))}), "unknown type 9");
  refuse(model({variable("a", {3}, 0, 8, floats({1, 2}))}), "not F32 of shape [3]");
  refuse(model({variable("a", {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 0, 8, floats({1, 2}))}), "impossible");
  refuse(model({variable("a", {0, 0xFFFFFFFF, 0xFFFFFFFF}, 0, 0, "")}), "impossible");
  refuse(model({variable("a", {0x3FFFFFFF}, 0, 0xFFFFFFFC, floats({1, 2}))}), "cut off");
  refuse(model({a, a}), "twice");
  refuse(model({a}, test::bytes(uint32_t{1}) + text("b") + text("c")), "missing variable \"c\"");
  refuse(model({a}, test::bytes(uint32_t{1}) + text("a") + text("a")), "twice");
  refuse(model({variable("w", {2}, 1, 2, "ab"), variable("w_scale", {3}, 0, 12, floats({1, 2, 3}))}), "w_scale");
}

}  // namespace
}  // namespace ichigo
