#include "evaluation/text_task.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "evaluation/jinja.h"
#include "evaluation/json_lines.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<std::string> kKeys = {
    "task", "dataset_path", "dataset_name", "dataset_kwargs", "test_split", "validation_split", "training_split",
    "fewshot_split", "fewshot_config", "num_fewshot", "output_type", "description", "doc_to_text", "doc_to_target",
    "doc_to_choice", "target_delimiter", "fewshot_delimiter", "generation_kwargs", "filter_list", "metric_list",
    "repeats",
    // Without a meaning for prompts and scores.
    "metadata", "tag", "group", "group_alias", "task_alias", "should_decontaminate", "doc_to_decontamination_query"};

// ---- YAML ----

json scalar(const std::string& text) {
  if (text.empty() || text == "null" || text == "~") return nullptr;
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  const json number = json::parse(text, nullptr, false);
  return number.is_number() ? number : json(text);
}

json to_json(const YAML::Node& node, const fs::path& file, int depth = 0) {
  const auto place = [&] { return concat(file.string(), ":", node.Mark().line + 1); };
  require(depth < 32, place(), ": it is nested too deeply");
  const std::string& tag = node.Tag();
  require(tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org"), place(), ": \"", tag, " ",
          node.IsScalar() ? node.Scalar() : "",
          "\" is Python, which is not run here: prepare the data so that the task file needs none");
  if (node.IsScalar()) return tag == "!" ? json(node.Scalar()) : scalar(node.Scalar());
  if (node.IsSequence()) {
    json list = json::array();
    for (const auto& item : node) list.push_back(to_json(item, file, depth + 1));
    return list;
  }
  if (!node.IsMap()) return nullptr;
  json map = json::object();
  for (const auto& item : node) map[item.first.as<std::string>()] = to_json(item.second, file, depth + 1);
  return map;
}

json read_yaml(const fs::path& file, int depth = 0) {
  require(depth < 8, file.string(), ": files include one another without end");
  json task;
  try {
    task = to_json(YAML::Load(read_file(file)), file);
  } catch (const YAML::Exception& error) {
    fail(file.string(), ":", error.mark.line + 1, ": this is not YAML: ", error.msg);
  }
  require(task.is_object(), file.string(), " is not a mapping");
  if (!task.contains("include")) return task;
  json whole = read_yaml(file.parent_path() / task["include"].get<std::string>(), depth + 1);
  task.erase("include");
  whole.update(task);
  return whole;
}

// ---- documents ----

std::vector<json> read_rows(const fs::path& path) {
  std::vector<json> rows;
  for (auto& [line, row] : read_json_lines(path)) rows.push_back(std::move(row));
  return rows;
}

class Reader {
 public:
  Reader(const fs::path& file, const fs::path& data) : file_(file.string()), data_(data), yaml_(read_yaml(file)) {
    require_known_keys(yaml_, kKeys, file_);
    if (yaml_.contains("fewshot_config")) {
      require_known_keys(yaml_["fewshot_config"], {"sampler", "samples"}, file_ + ": fewshot_config");
    }
  }

  TextTask read(size_t limit) {
    TextTask task;
    task.name = text("task");
    const std::string type = text("output_type");
    task.multiple_choice = type == "multiple_choice";
    require(task.multiple_choice || type == "generate_until", file_, ": the output_type \"", type,
            "\" is not supported (multiple_choice, generate_until)");
    task.target_delimiter = yaml_.value("target_delimiter", " ");
    require(integer("repeats", 1) == 1, file_, ": \"repeats\" above 1 is not supported");
    read_metrics(task);
    if (!task.multiple_choice) read_generation(task);

    text_.emplace(template_of("doc_to_text"));
    target_.emplace(template_of("doc_to_target"));
    const bool has_choices = yaml_.contains("doc_to_choice") && !yaml_["doc_to_choice"].is_null();
    if (task.multiple_choice || has_choices) read_choices();
    const std::string split =
        yaml_.contains("test_split") && yaml_["test_split"].is_string() ? text("test_split") : text("validation_split");
    const auto rows = read_rows(split_file(split));
    const std::string description = yaml_.value("description", "");
    require(description.find("{{") == std::string::npos, file_, ": a description with {{ }} is not supported");
    const auto shots = read_examples(task, split);
    for (size_t row = 0; row < rows.size() && (limit == 0 || row < limit); ++row) {
      TextDocument document = make_document(task, rows[row], concat(split, " document ", row));
      document.id = static_cast<int64_t>(row);
      document.prompt = description + examples_before(rows[row], shots) + document.prompt;
      task.documents.push_back(std::move(document));
    }
    return task;
  }

 private:
  struct Example {
    json row;
    std::string text;  // with its answer and what separates it from the next
  };

  std::string text(const std::string& key) const {
    require(yaml_.contains(key) && yaml_[key].is_string(), file_, ": the key \"", key, "\" is missing or not a text");
    return yaml_[key].get<std::string>();
  }
  int64_t integer(const std::string& key, int64_t fallback) const {
    if (!yaml_.contains(key) || yaml_[key].is_null()) return fallback;
    require(yaml_[key].is_number_integer(), file_, ": \"", key, "\" is not a whole number");
    return yaml_[key].get<int64_t>();
  }

  // A column's name stands for the column.
  bool names_column(const std::string& key) const {
    const std::string source = text(key);
    return !source.empty() && source.find_first_of("{} \n") == std::string::npos;
  }
  Jinja template_of(const std::string& key) const {
    return {names_column(key) ? "{{" + text(key) + "}}" : text(key), file_ + ": " + key};
  }

  fs::path split_file(const std::string& split) const {
    const std::string path = text("dataset_path");
    if (path != "json") {
      const bool named = yaml_.contains("dataset_name") && yaml_["dataset_name"].is_string();
      const fs::path found = data_ / path / (named ? text("dataset_name") : "") / (split + ".jsonl");
      require(fs::exists(found), file_, ": the documents of ", path, " are expected in ", found.string(),
              ", as JSON lines");
      return found;
    }
    const json files = yaml_.value("dataset_kwargs", json::object()).value("data_files", json::object());
    require(files.is_object() && files.contains(split) && files[split].is_string(), file_,
            ": dataset_kwargs.data_files has no file for the split \"", split, "\"");
    return data_ / files[split].get<std::string>();
  }

  void read_metrics(TextTask& task) const {
    require(yaml_.contains("metric_list") && yaml_["metric_list"].is_array(), file_, ": there is no metric_list");
    for (const json& metric : yaml_["metric_list"]) {
      const std::string name = metric.value("metric", ""), where = file_ + ": metric_list";
      require(metric.value("aggregation", "mean") == "mean", where, ": only the aggregation \"mean\" is supported");
      if (task.multiple_choice) {
        require_known_keys(metric, {"metric", "aggregation", "higher_is_better"}, where);
        require(name == "acc" || name == "acc_norm", where, ": the metric \"", name,
                "\" is not supported (acc, acc_norm)");
        task.metrics.push_back(name);
      } else {
        require(name == "exact_match", where, ": the metric \"", name, "\" is not supported (exact_match)");
        task.exact_match = parse_exact_match(metric, where);
      }
    }
    require(!task.metrics.empty() || task.exact_match, file_, ": metric_list is empty");
  }

  void read_generation(TextTask& task) const {
    const std::string where = file_ + ": generation_kwargs";
    const json generation = yaml_.value("generation_kwargs", json::object());
    require_known_keys(generation, {"until", "do_sample", "temperature", "max_gen_toks"}, where);
    require(!generation.value("do_sample", false), where, ": do_sample is not supported, answers are greedy");
    require(generation.value("temperature", 0.0) == 0.0, where, ": a temperature is not supported, answers are greedy");
    task.max_tokens = generation.value("max_gen_toks", task.max_tokens);
    const json until = generation.value("until", json({yaml_.value("fewshot_delimiter", "\n\n")}));
    task.until = until.is_string() ? std::vector{until.get<std::string>()} : until.get<std::vector<std::string>>();
    for (const json& filter : yaml_.value("filter_list", json::array())) {
      task.filters.push_back(parse_answer_filter(filter, file_ + ": filter_list"));
    }
    if (task.filters.empty()) task.filters.push_back({.name = "none"});
  }

  void read_choices() {
    require(yaml_.contains("doc_to_choice"), file_, ": the key \"doc_to_choice\" is missing");
    if (yaml_["doc_to_choice"].is_string()) {
      choice_template_.emplace(template_of("doc_to_choice"));
    } else {
      choices_ = yaml_["doc_to_choice"];
    }
  }

  TextDocument make_document(const TextTask& task, const json& row, const std::string& place) const {
    TextDocument document{.prompt = text_->render(row)};
    const json target = target_->value(row);
    const std::string where = file_ + ": " + place;
    if (!choice_template_ && choices_.is_null()) {
      for (const json& right : target.is_array() ? target : json::array({target})) {
        document.targets.push_back(python_text(right));
      }
      require(!document.targets.empty(), where, ": doc_to_target is an empty list");
      return document;
    }
    const json choices = choice_template_ ? choice_template_->value(row) : choices_;
    require(choices.is_array() && !choices.empty(), where, ": doc_to_choice is not a list");
    for (const json& choice : choices) document.choices.push_back(python_text(choice));
    const std::string answer = python_text(target);
    // A column keeps its type; of what a template makes, digits are a number.
    const bool digits =
        !answer.empty() && answer.size() < 9 && answer.find_first_not_of("0123456789") == std::string::npos;
    const bool is_index = target.is_number_integer() || (digits && !names_column("doc_to_target"));
    if (is_index) {
      const int64_t index = target.is_number_integer() ? target.get<int64_t>() : std::stoll(answer);
      require(index >= 0 && index < static_cast<int64_t>(choices.size()), where, ": the answer ", index, " is none of ",
              choices.size(), " choices");
      document.right_choice = static_cast<size_t>(index);
    } else {
      const auto found = std::ranges::find(document.choices, answer);
      require(found != document.choices.end(), where, ": the answer \"", answer, "\" is none of the choices");
      document.right_choice = static_cast<size_t>(found - document.choices.begin());
    }
    if (!task.multiple_choice) document.targets = {document.choices[document.right_choice]};
    return document;
  }

  std::vector<Example> read_examples(const TextTask& task, const std::string& split) const {
    const int64_t wanted = integer("num_fewshot", 0);
    if (wanted == 0) return {};
    const json config = yaml_.value("fewshot_config", json::object());
    require(config.value("sampler", "") == "first_n", file_,
            ": num_fewshot needs fewshot_config with the sampler "
            "first_n, since examples drawn at random are not supported");
    const bool given = config.contains("samples");
    const std::string from = given ? "fewshot_config.samples" : text("fewshot_split");
    const auto rows = given ? config["samples"].get<std::vector<json>>() : read_rows(split_file(from));
    // From the documents' own split one more, since none is its own example.
    const auto count = static_cast<size_t>(wanted) + (from == split ? 1 : 0);
    require(rows.size() >= count, file_, ": num_fewshot is ", wanted, " but ", from, " has ", rows.size(), " examples");
    const std::string delimiter = yaml_.value("fewshot_delimiter", "\n\n");
    std::vector<Example> examples;
    for (size_t row = 0; row < count; ++row) {
      const auto document = make_document(task, rows[row], concat(from, " example ", row));
      const std::string answer = task.multiple_choice ? document.choices[document.right_choice] : document.targets[0];
      examples.push_back(
          {rows[row], answer.empty() ? document.prompt : document.prompt + task.target_delimiter + answer + delimiter});
    }
    shots_ = static_cast<size_t>(wanted);
    return examples;
  }

  std::string examples_before(const json& row, const std::vector<Example>& examples) const {
    std::string text;
    size_t taken = 0;
    for (const auto& example : examples) {
      if (taken == shots_ || example.row == row) continue;
      text += example.text;
      ++taken;
    }
    return text;
  }

  std::string file_;
  fs::path data_;
  json yaml_, choices_;
  std::optional<Jinja> text_, target_, choice_template_;
  mutable size_t shots_ = 0;
};

}  // namespace

TextTask read_text_task(const fs::path& file, const fs::path& data, size_t limit) {
  try {
    return Reader(file, data).read(limit);
  } catch (const json::exception& error) {
    fail(file.string(), ": a value has the wrong type: ", error.what());
  }
}

}  // namespace ichigo
