// A conversation with the default model over a recording in the place of the microphone.
#include <gtest/gtest.h>

#include <regex>

#include "audio/signals.h"
#include "audio/sound_card.h"
#include "cli/program.h"

namespace ichigo {
namespace {

using test::run_program;
using test::silence;

class TalkCommand : public testing::Test {
 protected:
  TalkCommand() {
    const auto sample = [](const std::string& name) {
      return read_audio(std::string(ICHIGO_SOURCE_DIR) + "/samples/" + name + ".wav");
    };
    const auto first = sample("capital_of_france");
    first_question_ = static_cast<double>(first.size()) / kSampleRate;
    const auto speech = test::joined({silence(1), first, silence(3.5), sample("seven_plus_five"), silence(1)});
    write_audio(questions_, test::mixed(speech, test::steady_noise("pink", speech.size(), 1), -55, 1));
  }
  test::TemporaryFolder folder_;
  double first_question_ = 0;  // seconds
  const std::string questions_ = folder_ / "questions.wav";
};

// The answers, each with its line below, of a conversation.
void expect_two_answers(const std::string& out) {
  const std::regex line(R"re(heard: "(.*)" \| after the end of speech: first token (\d+) ms, shown (\d+) ms.*)re");
  const size_t first = out.find("\nheard: ");
  ASSERT_NE(first, std::string::npos) << out;
  EXPECT_CONTAINS(out.substr(0, first), "Paris");
  const size_t second = out.find("\nheard: ", first + 1);
  ASSERT_NE(second, std::string::npos) << out;
  EXPECT_CONTAINS(out.substr(first, second - first), "twelve");
  std::smatch parts;
  const std::string last = out.substr(second + 1, out.size() - second - 2);
  ASSERT_TRUE(std::regex_match(last, parts, line)) << out;
  EXPECT_GE(std::stoi(parts[2]), 200);  // a reply is begun after so much silence...
  EXPECT_GE(std::stoi(parts[3]), 500);  // ...and shown after so much
}

TEST_F(TalkCommand, AnswersTwoQuestions) {
  const auto talked = run_program({"talk", "--input", questions_, "--threads", "1"});
  ASSERT_EQ(talked.code, 0) << talked.err;
  EXPECT_EQ(talked.err, "");
  expect_two_answers(talked.out);
}

TEST_F(TalkCommand, SpeaksIntoAFile) {
  const std::string spoken = folder_ / "spoken.wav";
  const auto talked =
      run_program({"talk", "--input", questions_, "--voice", "flite:slt", "--output", spoken, "--threads", "1"});
  ASSERT_EQ(talked.code, 0) << talked.err;
  expect_two_answers(talked.out);
  const auto samples = read_audio(spoken);
  // Silent while the questions are asked and until it is certain that they have ended.
  const auto level = [&](double from, double to) {
    const auto part = std::span(samples).subspan(static_cast<size_t>(from * kSampleRate));
    return test::root_mean_square(part.first(static_cast<size_t>((to - from) * kSampleRate)));
  };
  const double first = 1 + first_question_;
  EXPECT_EQ(level(0, first + 0.3), 0);
  EXPECT_GT(level(first + 0.6, first + 1.6), 0.01);
  EXPECT_EQ(level(first + 3.2, first + 3.5), 0);
  EXPECT_GT(samples.size(), read_audio(questions_).size());  // the last answer is not cut
}

TEST_F(TalkCommand, NothingIsAnsweredInNoise) {
  const std::string noise = folder_ / "noise.wav";
  write_audio(noise, test::mixed(silence(5), test::steady_noise("fan", 80000, 1), -30, 1));
  const auto talked = run_program({"talk", "--input", noise});
  EXPECT_EQ(talked.code, 0) << talked.err;
  EXPECT_EQ(talked.out + talked.err, "");
}

TEST_F(TalkCommand, ComplainsClearly) {
  EXPECT_COMPLAINS(run_program({"talk", "--input", folder_ / "absent.wav"}), 1, "absent.wav");
  EXPECT_COMPLAINS(run_program({"talk", "--input", questions_, "--voice", "nobody"}), 1, "unknown voice");
  EXPECT_COMPLAINS(run_program({"talk", "--input", questions_, "--model", folder_ / "none"}), 1, "none");
  EXPECT_COMPLAINS(run_program({"talk", "--input", questions_, "--voice", "espeak:en-us", "--output", questions_}), 1,
                   "is the recording that is to be heard");
  EXPECT_COMPLAINS(run_program({"talk", "--realtime"}), 2, "--input");
  EXPECT_COMPLAINS(run_program({"talk", "--input", questions_, "--output", "a.wav"}), 2, "--voice");
  EXPECT_COMPLAINS(run_program({"talk", "--end-delay", "0"}), 2, "--end-delay");
  if (!sound_devices().empty()) GTEST_SKIP() << "this machine has a sound card";
  EXPECT_COMPLAINS(run_program({"talk"}), 1, "--input FILE");
  EXPECT_COMPLAINS(run_program({"talk", "--input", questions_, "--voice", "flite:slt"}), 1, "--output FILE.wav");
}

}  // namespace
}  // namespace ichigo
