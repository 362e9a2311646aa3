// Against lm-evaluation-harness's own answers for a tiny model.
#include "evaluation/text_benchmark.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/atomic_file.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

std::vector<json> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(json::parse(line));
  return rows;
}

void expect_near_likelihoods(const json& ours, const json& theirs, const std::string& where) {
  ASSERT_EQ(ours.size(), theirs.size()) << where;
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_NEAR(ours[i][0].get<double>(), theirs[i][0].get<double>(), 1e-2) << where;
    EXPECT_EQ(ours[i][1], theirs[i][1]) << where;
  }
}

TEST(TextBenchmark, EqualsTheHarnessSampleBySample) {
  ICHIGO_GOLDEN_OR_SKIP(results, "benchmarks/results.json");
  const auto folder = results.parent_path();
  const FusedModel model = load_fused_model(folder / "model", PackedTypes::parse("float32"), {});
  TextScorer scorer(model);
  const json expected = json::parse(read_file(results));
  const auto names = test::golden_names("benchmarks/tasks", ".yaml");
  EXPECT_FALSE(names.empty());
  for (const auto& name : names) {
    const TextTask task = read_text_task(folder / "tasks" / (name + ".yaml"), folder);
    std::vector<json> ours;
    const auto score =
        evaluate_text_task(task, scorer, [&](const TextSample& sample) { ours.push_back(sample_json(task, sample)); });
    EXPECT_EQ(score.documents, expected[name]["sample_len"]);
    for (const auto& [metric, value] : score.scores) EXPECT_DOUBLE_EQ(value, expected[name].at(metric)) << metric;

    const auto theirs = lines_of(folder / (name + ".samples.jsonl"));
    ASSERT_EQ(ours.size(), theirs.size()) << name;
    for (const json& row : theirs) {
      const auto found = std::ranges::find_if(
          ours, [&](const json& our) { return our["doc_id"] == row["doc_id"] && our["filter"] == row["filter"]; });
      ASSERT_NE(found, ours.end()) << name;
      const std::string where = name + " " + row["doc_id"].dump() + " " + row["filter"].dump();
      EXPECT_EQ((*found)["arguments"], row["arguments"]) << where;
      EXPECT_EQ((*found)["target"], row["target"]) << where;
      if (task.multiple_choice) {
        expect_near_likelihoods((*found)["filtered_resps"], row["filtered_resps"], where);
      } else {
        EXPECT_EQ((*found)["resps"], row["resps"]) << where;
        EXPECT_EQ((*found)["filtered_resps"], row["filtered_resps"]) << where;
      }
      for (const auto& [key, value] : row.items()) {
        if (value.is_number_float()) {
          EXPECT_EQ((*found)[key], value) << where << " " << key;
        }
      }
    }
  }
}

TEST(TextBenchmark, CachedPrefixesChangeNothing) {
  ICHIGO_GOLDEN_OR_SKIP(results, "benchmarks/results.json");
  const FusedModel model = load_fused_model(results.parent_path() / "model", PackedTypes::parse("float32"), {});
  TextScorer used(model);
  const std::vector<std::string> choices = {" seven", " eleven of them", " B"};
  used.continuations("Question: What is two plus five?\nAnswer:", choices);
  used.generate("Question: What is two plus", {"\n"}, 5);
  const auto again = used.continuations("Question: What is two plus nine?\nAnswer: ", choices);
  for (size_t i = 0; i < choices.size(); ++i) {
    TextScorer fresh(model);
    const auto alone = fresh.continuations("Question: What is two plus nine?\nAnswer: ", {choices[i]});
    EXPECT_NEAR(alone[0].log_likelihood, again[i].log_likelihood, 1e-4);
  }
  // A context that is too long loses its beginning, not its end.
  std::string lengthy;
  for (int i = 0; i < 3000; ++i) lengthy += "number " + std::to_string(i) + " ";
  const auto of = [&](const std::string& context) { return used.continuations(context, {" seven"})[0].log_likelihood; };
  EXPECT_NEAR(of("Other words come first. " + lengthy), of(lengthy), 1e-4);
  EXPECT_GT(std::abs(of(lengthy + "end") - of(lengthy)), 1e-3);
  EXPECT_LT(used.continuations("", {"seven"})[0].log_likelihood, 0);
  EXPECT_CONTAINS(test::error_of([&] { used.continuations("A", {""}); }), "no tokens of its own");
  EXPECT_CONTAINS(test::error_of([&] { used.generate("A", {}, 1 << 20); }), "does not fit");
}

class TaskFile : public testing::Test {
 protected:
  // The message for the golden kind of task with this in place of that.
  std::string message(const std::string& from, const std::string& to) {
    std::string yaml = kTask;
    yaml.replace(yaml.find(from), from.size(), to);
    write_file(folder_ / "task.yaml", yaml);
    return test::error_of([&] { read_text_task(folder_ / "task.yaml", folder_.path()); });
  }
  void SetUp() override {
    write_file(folder_ / "test.jsonl", "{\"q\": \"one\", \"a\": \"yes\"}\n\n{\"q\": \"two\", \"a\": \"no\"}\n");
    write_file(folder_ / "base.yaml",
               "dataset_path: json\ndataset_kwargs: {data_files: {test: test.jsonl}}\ntest_split: test\n");
    write_file(folder_ / "task.yaml", kTask);
  }

  static constexpr const char* kTask =
      "include: base.yaml\ntask: small\noutput_type: multiple_choice\nnum_fewshot: 1\nfewshot_split: test\n"
      "fewshot_config: {sampler: first_n}\ndoc_to_text: \"{{q}}?\"\ndoc_to_target: a\ndoc_to_choice: [yes, no]\n"
      "metric_list: [{metric: acc}]\n";
  test::TemporaryFolder folder_;
};

TEST_F(TaskFile, NoDocumentIsItsOwnExample) {
  const TextTask task = read_text_task(folder_ / "task.yaml", folder_.path());
  ASSERT_EQ(task.documents.size(), 2U);
  EXPECT_EQ(task.documents[0].prompt, "two? no\n\none?");
  EXPECT_EQ(task.documents[1].prompt, "one? yes\n\ntwo?");
  EXPECT_EQ(task.documents[1].right_choice, 1U);
  EXPECT_EQ(read_text_task(folder_ / "task.yaml", folder_.path(), 1).documents.size(), 1U);
}

TEST_F(TaskFile, ReadsPublishedSetsFromFolders) {
  std::filesystem::create_directories(folder_ / "cais/mmlu/anatomy");
  write_file(folder_ / "cais/mmlu/anatomy/test.jsonl", read_file(folder_ / "test.jsonl"));
  write_file(folder_ / "base.yaml", "dataset_path: cais/mmlu\ndataset_name: anatomy\ntest_split: test\n");
  EXPECT_EQ(read_text_task(folder_ / "task.yaml", folder_.path()).documents.size(), 2U);
  EXPECT_CONTAINS(test::error_of([&] { read_text_task(folder_ / "task.yaml", folder_ / "elsewhere"); }),
                  "elsewhere/cais/mmlu/anatomy/test.jsonl, as JSON lines");
}

// As the harness does: of a list each element is right, digits of a column are a text like any other, and an index
// into the choices stands for its text.
TEST_F(TaskFile, KnowsTheHarnesssTargets) {
  const auto read = [&](const std::string& row, const std::string& keys) {
    write_file(folder_ / "test.jsonl", row + "\n");
    write_file(folder_ / "task.yaml", "include: base.yaml\ntask: small\ndoc_to_text: q\n" + keys);
    return read_text_task(folder_ / "task.yaml", folder_.path()).documents.at(0);
  };
  const std::string written = "output_type: generate_until\nmetric_list: [{metric: exact_match}]\n",
                    chosen = "output_type: multiple_choice\nmetric_list: [{metric: acc}]\ndoc_to_choice: c\n";
  EXPECT_EQ(read(R"({"q": "?", "a": ["Paris", "Lutetia"]})", written + "doc_to_target: \"{{a}}\"\n").targets,
            (std::vector<std::string>{"Paris", "Lutetia"}));
  EXPECT_EQ(read(R"({"q": "?", "a": 1})", written + "doc_to_target: a\ndoc_to_choice: [no, yes]\n").targets,
            std::vector<std::string>{"yes"});
  const std::string numbers = R"({"q": "?", "a": "2", "c": ["1", "2", "3"]})";
  EXPECT_EQ(read(numbers, chosen + "doc_to_target: a\n").right_choice, 1U);
  EXPECT_EQ(read(numbers, chosen + "doc_to_target: \"{{a}}\"\n").right_choice, 2U);
  EXPECT_CONTAINS(test::error_of([&] { read(R"({"q": "?", "a": []})", written + "doc_to_target: a\n"); }),
                  "empty list");
}

TEST_F(TaskFile, SaysWhatIsWrong) {
  EXPECT_CONTAINS(message("doc_to_text", "doc_to_texts"), "the key \"doc_to_texts\" is not supported");
  EXPECT_CONTAINS(message("metric: acc", "metric: bleu"), "the metric \"bleu\" is not supported");
  EXPECT_CONTAINS(message("multiple_choice", "loglikelihood"), "output_type \"loglikelihood\" is not supported");
  EXPECT_CONTAINS(message("{{q}}", "{{question}}"), "doc_to_text: \"question\" is not defined");
  EXPECT_CONTAINS(message("doc_to_target: a", "doc_to_target: q"), "the answer \"one\" is none of the choices");
  EXPECT_CONTAINS(message("doc_to_target: a", "doc_to_target: \"{{7}}\""),
                  "test example 0: the answer 7 is none of 2 choices");
  EXPECT_CONTAINS(message("first_n", "default"), "the sampler first_n");
  EXPECT_CONTAINS(message("num_fewshot: 1", "num_fewshot: 2"), "num_fewshot is 2 but test has 2 examples");
  EXPECT_CONTAINS(message("task: small", "process_docs: !function utils.f"),
                  "task.yaml:2: \"!function utils.f\" is Python");
  EXPECT_CONTAINS(message("small", "[small"), "this is not YAML");
  EXPECT_CONTAINS(message("base.yaml", "task.yaml"), "without end");
  write_file(folder_ / "test.jsonl", "{\"q\": 1}\n[]\n");
  EXPECT_CONTAINS(message("small", "small"), "test.jsonl:2");
}

}  // namespace
}  // namespace ichigo
