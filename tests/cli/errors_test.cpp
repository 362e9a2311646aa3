// Misuse and bad input: the exit code and one clear line.
#include <gtest/gtest.h>

#include "audio/audio_file.h"
#include "cli/program.h"

namespace ichigo {
namespace {

using test::run_program;

TEST(Program, HelpAndVersion) {
  const auto nothing = run_program({});
  EXPECT_EQ(nothing.code, 0);
  for (const char* command :
       {"ask", "chat", "transcribe", "tokenize", "fetch", "synthesize", "train", "evaluate", "bench", "convert"}) {
    EXPECT_CONTAINS(nothing.out, std::string("  ") + command);
  }
  EXPECT_EQ(nothing.err, "");
  const auto version = run_program({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("ichigo ")) << version.out;
  const auto help = run_program({"ask", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_CONTAINS(help.out, "--cascade");
}

TEST(Program, MisuseIsExitCodeTwo) {
  EXPECT_COMPLAINS(run_program({"sing"}), 2, "sing");
  EXPECT_COMPLAINS(run_program({"ask"}), 2, "file is required");
  EXPECT_COMPLAINS(run_program({"ask", "a.wav", "--colour", "red"}), 2, "--colour");
  EXPECT_COMPLAINS(run_program({"ask", "a.wav", "--temperature", "hot"}), 2, "--temperature");
  EXPECT_COMPLAINS(run_program({"ask", "a.wav", "--max-seconds", "-1"}), 2, "--max-seconds");
  EXPECT_COMPLAINS(run_program({"chat", "hi", "--top-p", "0"}), 2, "--top-p");
  EXPECT_COMPLAINS(run_program({"evaluate"}), 2, "subcommand");
  EXPECT_COMPLAINS(run_program({"bench"}), 2, "subcommand");
  EXPECT_COMPLAINS(run_program({"bench", "latency", "--repeats", "0"}), 2, "--repeats");
  EXPECT_COMPLAINS(run_program({"evaluate", "questions", "l.tsv", "--with", "luck"}), 2, "--with");
  EXPECT_COMPLAINS(run_program({"convert", "a", "b", "--type", "q9"}), 2, "--type");
  EXPECT_COMPLAINS(run_program({"synthesize", "r.yaml", "--shards", "2"}), 2, "--shard");
  EXPECT_COMPLAINS(run_program({"ask", "a.wav", "--seed", "-1"}), 2, "--seed");
}

TEST(Program, BadRecordingsAreExitCodeOne) {
  const test::TemporaryFolder folder;
  const auto ask = [&](const std::string& name, const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"ask", folder / name};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_program(arguments);
  };
  EXPECT_COMPLAINS(ask("absent.wav"), 1, "absent.wav");
  write_file(folder / "empty.wav", "");
  EXPECT_COMPLAINS(ask("empty.wav"), 1, "empty.wav");
  write_file(folder / "text.wav", "This is no recording, whatever its name says. Not at all.");
  EXPECT_COMPLAINS(ask("text.wav"), 1, "text.wav");
  write_audio(folder / "long.wav", std::vector<float>(32000, 0.1F));
  EXPECT_COMPLAINS(ask("long.wav", {"--max-seconds", "1.5"}), 1, "1.5");
  const std::string whole = read_file(folder / "long.wav");
  write_file(folder / "truncated.wav", whole.substr(0, whole.size() / 2));
  EXPECT_COMPLAINS(ask("truncated.wav"), 1, "truncated.wav");
  write_file(folder / "no_samples.wav", whole.substr(0, 40) + std::string(4, '\0'));
  EXPECT_COMPLAINS(ask("no_samples.wav"), 1, "no_samples.wav");
  EXPECT_COMPLAINS(ask(""), 1, folder.path().string());
  EXPECT_COMPLAINS(run_program({"transcribe", folder / "long.wav", folder / "absent.wav"}), 1, "absent.wav");
  EXPECT_COMPLAINS(ask("two\nlines.wav"), 1, "lines.wav");
  EXPECT_COMPLAINS(run_program({"tokenize", folder / "text.wav"}), 1, "text.wav");
  EXPECT_COMPLAINS(run_program({"bench", "latency", "--input", folder / "absent.wav"}), 1, "absent.wav");
  EXPECT_COMPLAINS(run_program({"bench", "latency", "--seconds", "0"}), 1, "0.1 to 300 s");
}

TEST(Program, MissingModelsSayWhatToDo) {
  const test::TemporaryFolder folder;
  write_audio(folder / "a.wav", std::vector<float>(16000, 0.1F));
  const std::string recording = folder / "a.wav";
  EXPECT_COMPLAINS(run_program({"ask", recording, "--model", folder / "none"}), 1, "none");
  EXPECT_COMPLAINS(run_program({"ask", recording}, "ICHIGO_MODEL=" + test::quoted(folder / "elsewhere")), 1,
                   "elsewhere");
  EXPECT_COMPLAINS(run_program({"ask", recording, "--model", folder.path()}), 1, "config.json");
  EXPECT_COMPLAINS(run_program({"ask", recording, "--cascade"}), 1, "ichigo fetch base");
  EXPECT_COMPLAINS(run_program({"transcribe", recording}), 1, "ichigo fetch base");
  EXPECT_COMPLAINS(run_program({"chat", "Hello"}), 1, "ichigo fetch base");
  EXPECT_COMPLAINS(run_program({"bench", "latency", "--input", recording}), 1, "ichigo fetch base");
  EXPECT_COMPLAINS(run_program({"transcribe", recording, "--model", folder.path()}), 1, "tokenizer.json");
  EXPECT_COMPLAINS(run_program({"convert", folder / "none", folder / "out"}), 1, "none");
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace ichigo
