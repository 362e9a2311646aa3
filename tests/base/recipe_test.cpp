#include "base/recipe.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using test::error_of;

class RecipeTest : public ::testing::Test {
 protected:
  RecipeNode recipe(const std::string& yaml) {
    write_file(folder_ / "r.yaml", yaml);
    return read_recipe(folder_ / "r.yaml");
  }
  test::TemporaryFolder folder_;
};

TEST_F(RecipeTest, ReadsEveryKindOfValue) {
  RecipeNode node = recipe(
      "name: a b\nrate: 1.5e-3\nrows: 60000\non_cpu: true\nlist: [x, 'y z']\nout: work/x\nmore: {inner: 3}\n"
      "items:\n  - {a: 1}\n  - {a: 2}\n");
  EXPECT_EQ(node.text("name"), "a b");
  EXPECT_EQ(node.number("rate", 0), 1.5e-3);
  EXPECT_EQ(node.integer("rows", 0), 60000);
  EXPECT_TRUE(node.flag("on_cpu", false));
  EXPECT_EQ(node.texts("list"), (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(node.path("out"), "work/x");
  EXPECT_EQ(node.child("more").integer("inner", 0), 3);
  EXPECT_EQ(node.children("items").at(1).integer("a", 0), 2);
  EXPECT_CONTAINS(node.children("items").at(1).where(), "r.yaml: items[1]");
  EXPECT_EQ(node.number("missing", 7), 7);
  EXPECT_TRUE(node.children("missing_too").empty());
  EXPECT_FALSE(node.child("missing_map").has("anything"));
  node.finish();
}

TEST_F(RecipeTest, AnUnknownKeyNamesItsLineAndTheNearestKnownOne) {
  RecipeNode node = recipe("learning_rate: 1\n\nwarmup_step: 3\n");
  node.number("learning_rate", 0);
  node.integer("warmup_steps", 0);
  EXPECT_CONTAINS(error_of([&] { node.finish(); }),
                  "r.yaml:3: unknown key \"warmup_step\"; did you mean \"warmup_steps\"?");
}

TEST_F(RecipeTest, AMisspelledRequiredKeyIsNamed) {
  RecipeNode node = recipe("seed: 1\nsynthesise: codes\n");
  EXPECT_CONTAINS(error_of([&] { node.text("synthesize"); }),
                  "r.yaml:2: unknown key \"synthesise\"; did you mean \"synthesize\"?");
}

TEST_F(RecipeTest, AnUnknownKeyFarFromAllListsThem) {
  RecipeNode node = recipe("sources:\n  - share: 1\n    zzzzzzzz: 2\n");
  auto children = node.children("sources");
  children[0].number("share", 0);
  children[0].path("sentences", "");
  EXPECT_CONTAINS(error_of([&] { children[0].finish(); }),
                  "r.yaml:3: sources[0]: unknown key \"zzzzzzzz\"; known are: share, sentences");
}

TEST_F(RecipeTest, AWrongTypeNamesKeyLineAndExpectation) {
  RecipeNode node = recipe("a: many\nb: [1]\nc: 1.5\nd: maybe\ne: .nan\nf:\ng: x\n");
  EXPECT_CONTAINS(error_of([&] { node.number("a", 0); }), "r.yaml:1: \"a\" must be a number, not \"many\"");
  EXPECT_CONTAINS(error_of([&] { node.text("b"); }), "r.yaml:2: \"b\" must be a text, not a list");
  EXPECT_CONTAINS(error_of([&] { node.integer("c", 0); }), "\"c\" must be a whole number, not \"1.5\"");
  EXPECT_CONTAINS(error_of([&] { node.flag("d", true); }), "\"d\" must be true or false");
  EXPECT_CONTAINS(error_of([&] { node.number("e", 0); }), "finite");
  EXPECT_CONTAINS(error_of([&] { node.text("f"); }), "not nothing");
  EXPECT_CONTAINS(error_of([&] { node.child("g"); }), "r.yaml:7: g: expected a mapping");
  EXPECT_CONTAINS(error_of([&] { node.children("g"); }), "\"g\" must be a list of mappings");
  EXPECT_CONTAINS(error_of([&] { node.text("missing"); }), "the key \"missing\" is missing");
}

TEST_F(RecipeTest, TakesOverWhatItExtends) {
  write_file(folder_ / "first.yaml", "output: one\nsteps: 5\nrows: [a, b]\nlosses: {ctc: 1, kl: 2}\n");
  write_file(folder_ / "second.yaml", "extends: first.yaml\noutput: two\nlosses: {kl: 3}\n");
  RecipeNode node = recipe("extends: second.yaml\nrows: [c]\n");
  EXPECT_EQ(node.text("output"), "two");
  EXPECT_EQ(node.integer("steps", 0), 5);
  EXPECT_EQ(node.texts("rows"), std::vector<std::string>{"c"});
  RecipeNode losses = node.child("losses");
  EXPECT_EQ(losses.number("ctc", 0), 1);
  EXPECT_EQ(losses.number("kl", 0), 3);
  losses.finish();
  node.finish();
  const std::string all = recipe_text(folder_ / "r.yaml");
  EXPECT_CONTAINS(all, "steps: 5");
  EXPECT_CONTAINS(all, "rows: [c]");
}

TEST_F(RecipeTest, WhatIsWrongInAnExtendedRecipeIsFoundThere) {
  write_file(folder_ / "first.yaml", "a: 1\n\nsteps: many\nmore: {inner: x, outer: 1}\n");
  RecipeNode node = recipe("extends: first.yaml\na: 2\nmore: {inner: 1}\n");
  EXPECT_CONTAINS(error_of([&] { node.integer("steps", 0); }), "first.yaml:3: \"steps\" must be a whole number");
  RecipeNode more = node.child("more");
  EXPECT_EQ(more.integer("inner", 0), 1);
  EXPECT_CONTAINS(error_of([&] { more.finish(); }), "first.yaml:4: more: unknown key \"outer\"");
}

TEST_F(RecipeTest, RefusesToExtendItselfOrNothing) {
  write_file(folder_ / "other.yaml", "extends: r.yaml\n");
  EXPECT_CONTAINS(error_of([&] { recipe("a: 1\nextends: other.yaml\n"); }), "other.yaml:1: ");
  EXPECT_CONTAINS(error_of([&] { recipe("extends: other.yaml\n"); }), "r.yaml is extended by itself");
  EXPECT_CONTAINS(error_of([&] { recipe("extends: ./r.yaml\n"); }), "r.yaml is extended by itself");
  EXPECT_CONTAINS(error_of([&] { recipe("a: 1\nextends: none.yaml\n"); }), "none.yaml");
  EXPECT_CONTAINS(error_of([&] { recipe("extends: [a]\n"); }), "\"extends\" must be the name of a recipe, not a list");
}

TEST_F(RecipeTest, RefusesWhatIsNoRecipe) {
  EXPECT_CONTAINS(error_of([&] { recipe("a: 1\nb: [1, 2\nc: 3\n"); }), "not YAML");
  EXPECT_CONTAINS(error_of([&] { recipe("- 1\n- 2\n"); }), "expected a mapping");
  EXPECT_CONTAINS(error_of([&] { recipe(""); }), "expected a mapping");
  EXPECT_CONTAINS(error_of([&] { recipe("a: 1\na: 2\n"); }), "r.yaml:2: \"a\" stands here twice");
  EXPECT_CONTAINS(error_of([&] { read_recipe(folder_ / "none.yaml"); }), "none.yaml");
}

}  // namespace
}  // namespace ichigo
