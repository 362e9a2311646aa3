// `ichigo evaluate tasks, speech, gap and suite`, with a tiny random model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "assistant/tiny_model.h"
#include "audio/audio_file.h"
#include "cli/program.h"
#include "golden.h"

namespace ichigo {
namespace {

using nlohmann::json;
using test::run_program;

class Evaluation : public testing::Test {
 protected:
  void SetUp() override {
    ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
    test::write_tiny_model(folder_ / "model", tokenizer);
    model_ = folder_ / "model";
    write_audio(folder_ / "a.wav", test::tiny_speech(1));
    write_file(folder_ / "list.tsv", "path\ttext\tanswer\na.wav\tWhat?\tno such words\na.wav\tWho?\tnor these\n");
    write_file(folder_ / "docs.jsonl", "{\"q\": \"one\", \"a\": 0}\n{\"q\": \"two\", \"a\": 1}\n");
    write_file(folder_ / "task.yaml",
               "task: small\ndataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\ntest_split: test\n"
               "output_type: multiple_choice\ndoc_to_text: \"{{q}}?\"\ndoc_to_target: a\ndoc_to_choice: [x, yy]\n"
               "metric_list: [{metric: acc}]\n");
  }
  test::TemporaryFolder folder_;
  std::string model_;
};

TEST_F(Evaluation, Tasks) {
  const std::string rows = folder_ / "rows.jsonl", data = folder_.path();
  const auto done = run_program(
      {"evaluate", "tasks", folder_ / "task.yaml", "--data", data, "--model", model_, "--json", "--rows", rows});
  ASSERT_EQ(done.code, 0) << done.err;
  const json result = json::parse(done.out);
  EXPECT_EQ(result[0]["task"], "small");
  EXPECT_EQ(result[0]["documents"], 2);
  EXPECT_TRUE(result[0]["scores"]["acc,none"].is_number());
  const std::string written = read_file(rows);
  EXPECT_EQ(std::ranges::count(written, '\n'), 2);
  EXPECT_EQ(json::parse(written.substr(0, written.find('\n')))["arguments"][1], json({"one?", " yy"}));
  EXPECT_COMPLAINS(run_program({"evaluate", "tasks", folder_ / "task.yaml", "--model", model_}), 1, "docs.jsonl");
}

TEST_F(Evaluation, SpeechAndGap) {
  const auto rated =
      run_program({"evaluate", "speech", folder_ / "list.tsv", "--model", model_, "--json", "--max-tokens", "4"});
  ASSERT_EQ(rated.code, 0) << rated.err;
  EXPECT_EQ(json::parse(rated.out)["judges"][0], (json{{"judge", "builtin"}, {"score", 0.0}, {"understood", 1.0}}));
  // Typed questions need no recordings.
  write_file(folder_ / "typed.tsv", "text\tanswer\none?\tx\n");
  const auto typed = run_program({"evaluate", "speech", folder_ / "typed.tsv", "--with", "text", "--model", model_,
                                  "--max-tokens", "4", "--rows", folder_ / "typed_rows.tsv"});
  ASSERT_EQ(typed.code, 0) << typed.err;
  EXPECT_CONTAINS(read_file(folder_ / "typed_rows.tsv"), "\n\tone?\tx\t");
  const auto gap = run_program({"evaluate", "gap", folder_ / "list.tsv", "--model", model_, "--json"});
  ASSERT_EQ(gap.code, 0) << gap.err;
  const json losses = json::parse(gap.out);
  EXPECT_NEAR(losses["gap"].get<double>(), losses["spoken"].get<double>() - losses["typed"].get<double>(), 1e-9);
  EXPECT_COMPLAINS(run_program({"evaluate", "speech", folder_ / "list.tsv", "--model", model_, "--judge", "gpt"}), 1,
                   "neither \"builtin\" nor MODEL@URL");
  EXPECT_COMPLAINS(run_program({"evaluate", "speech", folder_ / "list.tsv", "--model", model_, "--max-tokens", "4",
                                "--judge", "m@http://127.0.0.1:1/v1"},
                               "ICHIGO_JUDGE_KEY=a,b"),
                   1, "1 judges to ask but 2 keys");
}

TEST_F(Evaluation, ASuiteGoesOnWhereItStopped) {
  const std::string list = folder_ / "list.tsv", output = folder_ / "out", suite = folder_ / "suite.yaml";
  write_file(suite, "title: Small\nentries:\n  - {name: typed, run: questions, inputs: [" + list +
                        "], options: [--with, text, --max-tokens, '2']}\n  - {name: spoken, run: gap, inputs: ['" +
                        std::string(folder_ / "lis?.tsv") + "']}\n  - {name: absent, run: perplexity, inputs: [" +
                        std::string(folder_ / "absent.txt") + "]}\n");
  const auto run = [&] {
    return run_program({"evaluate", "--suite", suite, "--model", "tiny=" + model_, "--output", output});
  };
  const auto first = run();
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_CONTAINS(first.err, "typed, tiny\nspoken, tiny\n");
  EXPECT_TRUE(first.out.starts_with("2 of 3 measured")) << first.out;
  const std::string report = read_file(folder_ / "out/report.md");
  EXPECT_CONTAINS(report, "| typed | right answers | 0.0 % |");
  EXPECT_CONTAINS(report, "absent.txt");
  const auto again = run();
  EXPECT_EQ(again.out, first.out);
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(read_file(folder_ / "out/report.md"), report);

  // Another list is measured again; one that fails is told.
  write_file(folder_ / "list.tsv", "path\ttext\tanswer\na.wav\t\tx\n");
  const auto changed = run_program({"evaluate", "suite", suite, "--model", "tiny=" + model_, "--output", output});
  EXPECT_EQ(changed.code, 1);
  EXPECT_CONTAINS(changed.err, "typed, tiny\nspoken, tiny\n");
  EXPECT_CONTAINS(changed.out, "0 of 3");
  EXPECT_CONTAINS(changed.err, "2 of 3 measurements failed");
  EXPECT_CONTAINS(read_file(folder_ / "out/report.md"), "list.tsv:2: ");
  EXPECT_COMPLAINS(run_program({"evaluate", "suite", suite, "--output", output}), 1, "names no models");
  EXPECT_COMPLAINS(run_program({"evaluate", "suite", suite, "--model", "a/model", "--model", "b/model"}), 1,
                   "two models are named \"model\"");
  EXPECT_COMPLAINS(run_program({"evaluate", "suite", suite, "--model", "nope"}), 1, "there is no model nope");
}

}  // namespace
}  // namespace ichigo
