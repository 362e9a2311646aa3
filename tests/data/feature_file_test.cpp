#include "data/feature_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "data/phoneme_set.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

class FeatureFileTest : public ::testing::Test {
 protected:
  // 5 frames of width 4 holding 0, 1, 2...
  void write(const std::string& list, int64_t frames = 5) {
    const at::Tensor data = at::arange(frames * 4).to(at::kBFloat16);
    write_file(folder_ / "f.features", {static_cast<const char*>(data.const_data_ptr()), data.nbytes()});
    write_file(folder_ / "f.jsonl", list);
  }
  std::string error(const std::string& list) {
    write(list);
    return error_of([&] { FeatureFile(folder_ / "f", 4); });
  }
  test::TemporaryFolder folder_;
  const std::string first_ = feature_line({0, 0, 3, "a", "flite:awb", {"b", "ə"}});
  const std::string second_ = feature_line({1, 3, 2, "c", "x", {"d"}});
};

TEST_F(FeatureFileTest, GivesEachClipItsFrames) {
  write(first_ + second_ + second_.substr(0, 10));
  const FeatureFile file(folder_ / "f", 4);
  ASSERT_EQ(file.clips().size(), 2U);
  EXPECT_EQ(file.clips()[0].phonemes, (std::vector<std::string>{"b", "ə"}));
  EXPECT_EQ(file.clips()[1].source, "x");
  const at::Tensor features = file.features(file.clips()[1]);
  EXPECT_TRUE(features.equal(at::arange(12, 20).view({2, 4}).to(at::kBFloat16)));
}

TEST_F(FeatureFileTest, TensorsOutliveTheFile) {
  write(first_, 3);
  at::Tensor features;
  {
    const FeatureFile file(folder_ / "f", 4);
    features = file.features(file.clips()[0]);
  }
  EXPECT_EQ(features.sum().item<float>(), 66);
}

TEST_F(FeatureFileTest, RefusesListsThatDoNotFitTheData) {
  EXPECT_CONTAINS(error(first_ + feature_line({1, 3, 3, "", "", {}})), "f.jsonl:2: the clip has 3 frames");
  EXPECT_CONTAINS(error(first_ + feature_line({1, 4, 1, "", "", {}})), "begins at frame 4 instead of 3");
  EXPECT_CONTAINS(error(feature_line({0, 0, -1, "", "", {}})), "-1 frames");
  EXPECT_CONTAINS(error(feature_line({0, 0, INT64_MAX, "", "", {}})), "frames");
  EXPECT_CONTAINS(error("{}\n"), "f.jsonl:1: not a row");
  EXPECT_CONTAINS(error(first_), "f.features has 40 bytes, but the clips that");
  write(first_ + second_);
  EXPECT_CONTAINS(error_of([&] { FeatureFile(folder_ / "f", 2); }), "take 20 at width 2");
  EXPECT_CONTAINS(error_of([&] { FeatureFile(folder_ / "f", 0); }), "width");
}

TEST(PhonemeSet, NumbersPhonesBehindTheBlank) {
  const PhonemeSet set = PhonemeSet::of({{0, 0, 0, "", "", {"h", "ə", "l"}}, {1, 0, 0, "", "", {"l", "d"}}});
  EXPECT_EQ(set.size(), 5);
  EXPECT_EQ(set.encode({"d", "h", "l", "ə", "d"}), (std::vector<int64_t>{1, 2, 3, 4, 1}));
  EXPECT_EQ(set.phone(4), "ə");
  EXPECT_CONTAINS(error_of([&] { set.encode({"x"}); }), "\"x\"");
  EXPECT_EQ(set.encode({"x", "d"}, /*leave_out_unknown=*/true), (std::vector<int64_t>{1}));
}

TEST(PhonemeSet, ComesBackAsSaved) {
  const test::TemporaryFolder folder;
  PhonemeSet({"ə", "b"}).save(folder / "p.json");
  const PhonemeSet set = PhonemeSet::load(folder / "p.json");
  EXPECT_EQ(set.size(), 3);
  EXPECT_EQ(set.phone(2), "ə");
  write_file(folder / "p.json", "{\"phones\": [\"a\", \"a\"]}");
  EXPECT_CONTAINS(error_of([&] { PhonemeSet::load(folder / "p.json"); }), "p.json is not a phoneme set");
  write_file(folder / "p.json", "[");
  EXPECT_CONTAINS(error_of([&] { PhonemeSet::load(folder / "p.json"); }), "p.json is not a phoneme set");
}

}  // namespace
}  // namespace ichigo
