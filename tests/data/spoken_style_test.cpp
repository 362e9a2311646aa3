#include "data/spoken_style.h"

#include <gtest/gtest.h>

namespace ichigo {
namespace {

TEST(SpokenStyle, KeepsWhatCanBeSaid) {
  EXPECT_EQ(spoken_style(" What\u2019s a good place to walk? ").text, "What's a good place to walk?");
  EXPECT_EQ(spoken_style("it takes 5 minutes, or 42.").text, "It takes five minutes, or forty two.");
  EXPECT_EQ(spoken_style("Well-known,  indeed. Do you agree?").text, "Well-known, indeed. Do you agree?");
  EXPECT_EQ(spoken_style("7 days make a week.").text, "Seven days make a week.");
}

TEST(SpokenStyle, RefusesWhatCannot) {
  const auto refused = [](const std::string& text) {
    const SpokenStyle style = spoken_style(text);
    EXPECT_EQ(style.text.empty(), !style.refused.empty()) << text;
    return style.refused;
  };
  EXPECT_EQ(refused(" \n"), "empty");
  EXPECT_EQ(refused("Here is how.\n- Walk.\n- Run."), "list or code");
  EXPECT_EQ(refused("Use `for` loops."), "marks or letters");
  EXPECT_EQ(refused("**Bold** words."), "marks or letters");
  EXPECT_EQ(refused("Dos caf\u00e9s, please."), "marks or letters");
  EXPECT_EQ(refused("- one thing."), "marks or letters");
  EXPECT_EQ(refused("Yes - it is."), "marks or letters");
  EXPECT_EQ(refused("It was in 1969."), "number");
  EXPECT_EQ(refused("The 2nd of May."), "number");
  EXPECT_EQ(refused("It is 3.5 miles."), "number");
  EXPECT_EQ(refused("Agent 007."), "number");
  EXPECT_EQ(refused("It goes on and"), "cut off");
  EXPECT_EQ(refused("As an AI, I like it."), "refusal");
  EXPECT_EQ(refused("I'm sorry, I can't do that."), "refusal");
  EXPECT_EQ(refused("One. Two. Three."), "too long");
  std::string words = "word";
  for (int i = 1; i < 31; ++i) words += i % 2 == 0 ? " and" : " or";
  EXPECT_EQ(refused(words + "."), "too long");
  EXPECT_EQ(refused("I like it and I like it and so on."), "repetition");
}

}  // namespace
}  // namespace ichigo
