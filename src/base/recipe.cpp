#include "base/recipe.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

constexpr const char* kExtends = "extends";

// "recipes/x.yaml: mixture[1]" and line 7 -> "recipes/x.yaml:7: mixture[1]"
std::string with_line(const std::string& where, const YAML::Node& node) {
  const int line = node.Mark().line;
  if (line < 0) return where;
  const size_t end = std::min(where.rfind(": "), where.size());
  return where.substr(0, end) + ":" + std::to_string(line + 1) + where.substr(end);
}

// Levenshtein's distance.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string suggestion(const std::string& key, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const auto nearest = std::ranges::min_element(known, {}, [&](const auto& name) { return edit_distance(key, name); });
  if (edit_distance(key, *nearest) <= std::max<size_t>(2, key.size() / 2))
    return concat("; did you mean \"", *nearest, "\"?");
  std::string list;
  for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
  return "; known are: " + list;
}

std::string describe(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return concat("\"", node.Scalar(), "\"");
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
    default:
      return "nothing";
  }
}

[[noreturn]] void wrong_value(const std::string& where, const std::string& key, const YAML::Node& value,
                              const char* expected) {
  fail(with_line(where, value), ": \"", key, "\" must be ", expected, ", not ", describe(value));
}

template <typename T>
T scalar(const YAML::Node& value, const std::string& where, const std::string& key, const char* expected) {
  T result;
  if (!value.IsScalar() || !YAML::convert<T>::decode(value, result)) wrong_value(where, key, value, expected);
  return result;
}

std::string place_of(const std::string& where, const std::string& key) {
  return where.find(": ") == std::string::npos ? where + ": " + key : where + "." + key;
}

void note(std::vector<std::string>& known, const std::string& key) {
  if (std::ranges::find(known, key) == known.end()) known.push_back(key);
}

// The value under a key, undefined when missing; never adds to the mapping as YAML's own operator does.
YAML::Node value_of(const YAML::Node& node, const std::string& key) {
  for (const auto& entry : node) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

void check_mapping(const YAML::Node& node, const std::string& where) {
  require(node.IsMap(), with_line(where, node), ": expected a mapping (key: value), not ", describe(node));
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    require(entry.first.IsScalar(), with_line(where, entry.first), ": a key must be a word, not ",
            describe(entry.first));
    const std::string& key = entry.first.Scalar();
    require(std::ranges::find(seen, key) == seen.end(), with_line(where, entry.first), ": \"", key,
            "\" stands here twice");
    seen.push_back(key);
  }
}

}  // namespace

RecipeNode::RecipeNode(std::vector<Layer> layers) : layers_(std::move(layers)) {
  for (const Layer& layer : layers_) check_mapping(*layer.node, layer.where);
}

struct RecipeNode::Value {
  YAML::Node node;
  std::string where;  // of the mapping that has it
};

RecipeNode::Value RecipeNode::find(const std::string& key) const {
  for (const Layer& layer : layers_) {
    const YAML::Node value = value_of(*layer.node, key);
    if (value.IsDefined()) return {value, layer.where};
  }
  return {YAML::Node(YAML::NodeType::Undefined), where()};
}

bool RecipeNode::has(const std::string& key) const {
  return find(key).node.IsDefined();
}

std::string RecipeNode::text(const std::string& key) {
  note(known_, key);
  const Value value = find(key);
  if (!value.node.IsDefined()) {
    for (const Layer& layer : layers_) {
      for (const auto& entry : *layer.node) {
        require(edit_distance(entry.first.Scalar(), key) > 2, with_line(layer.where, entry.first), ": unknown key \"",
                entry.first.Scalar(), "\"; did you mean \"", key, "\"?");
      }
    }
    fail(with_line(where(), *layers_.front().node), ": the key \"", key, "\" is missing");
  }
  return scalar<std::string>(value.node, value.where, key, "a text");
}

std::string RecipeNode::text(const std::string& key, const std::string& fallback) {
  note(known_, key);
  return has(key) ? text(key) : fallback;
}

double RecipeNode::number(const std::string& key, double fallback) {
  note(known_, key);
  const Value value = find(key);
  if (!value.node.IsDefined()) return fallback;
  const auto result = scalar<double>(value.node, value.where, key, "a number");
  if (!std::isfinite(result)) wrong_value(value.where, key, value.node, "a finite number");
  return result;
}

int64_t RecipeNode::integer(const std::string& key, int64_t fallback) {
  note(known_, key);
  const Value value = find(key);
  return value.node.IsDefined() ? scalar<int64_t>(value.node, value.where, key, "a whole number") : fallback;
}

bool RecipeNode::flag(const std::string& key, bool fallback) {
  note(known_, key);
  const Value value = find(key);
  return value.node.IsDefined() ? scalar<bool>(value.node, value.where, key, "true or false") : fallback;
}

std::vector<std::string> RecipeNode::texts(const std::string& key) {
  note(known_, key);
  const Value value = find(key);
  std::vector<std::string> result;
  if (!value.node.IsDefined()) return result;
  if (!value.node.IsSequence()) wrong_value(value.where, key, value.node, "a list of texts");
  for (const auto& item : value.node) {
    result.push_back(scalar<std::string>(item, value.where, key, "a list of texts"));
  }
  return result;
}

std::filesystem::path RecipeNode::path(const std::string& key) {
  return text(key);
}
std::filesystem::path RecipeNode::path(const std::string& key, const std::string& fallback) {
  return text(key, fallback);
}

RecipeNode RecipeNode::child(const std::string& key) {
  note(known_, key);
  std::vector<Layer> found;
  for (const Layer& layer : layers_) {
    const YAML::Node value = value_of(*layer.node, key);
    if (value.IsDefined()) found.push_back({std::make_shared<YAML::Node>(value), place_of(layer.where, key)});
  }
  if (found.empty()) found.push_back({std::make_shared<YAML::Node>(YAML::NodeType::Map), place_of(where(), key)});
  return RecipeNode(std::move(found));
}

std::vector<RecipeNode> RecipeNode::children(const std::string& key) {
  note(known_, key);
  const Value value = find(key);
  std::vector<RecipeNode> result;
  if (!value.node.IsDefined()) return result;
  if (!value.node.IsSequence()) wrong_value(value.where, key, value.node, "a list of mappings");
  for (const auto& item : value.node) {
    const std::string place = concat(place_of(value.where, key), "[", result.size(), "]");
    result.emplace_back(std::vector<Layer>{{std::make_shared<YAML::Node>(item), place}});
  }
  return result;
}

void RecipeNode::finish() const {
  for (const Layer& layer : layers_) {
    for (const auto& entry : *layer.node) {
      const std::string& key = entry.first.Scalar();
      require(std::ranges::find(known_, key) != known_.end(), with_line(layer.where, entry.first), ": unknown key \"",
              key, "\"", suggestion(key, known_));
    }
  }
}

namespace {

// A file as it is written, and what it extends.
struct RecipeFile {
  std::filesystem::path path;
  std::string text;
  YAML::Node node;
};

// The recipe, then what it extends, and so on.
std::vector<RecipeFile> read_files(std::filesystem::path path) {
  std::vector<RecipeFile> files;
  while (true) {
    RecipeFile& file = files.emplace_back(RecipeFile{path, read_file(path), {}});
    try {
      file.node = YAML::Load(file.text);
    } catch (const YAML::Exception& error) {
      fail(path.string(), ":", error.mark.line + 1, ": not YAML: ", error.msg);
    }
    if (!file.node.IsMap() || !value_of(file.node, kExtends).IsDefined()) return files;
    const YAML::Node other = value_of(file.node, kExtends);
    const std::filesystem::path next =
        (path.parent_path() / scalar<std::string>(other, path.string(), kExtends, "the name of a recipe"))
            .lexically_normal();
    require(std::ranges::none_of(files, [&](const auto& known) { return known.path == next; }),
            with_line(path.string(), other), ": ", next.string(), " is extended by itself");
    path = next;
  }
}

}  // namespace

RecipeNode read_recipe(const std::filesystem::path& path) {
  std::vector<RecipeNode::Layer> layers;
  for (const RecipeFile& file : read_files(path)) {
    layers.push_back({std::make_shared<YAML::Node>(file.node), file.path.string()});
  }
  RecipeNode recipe(std::move(layers));
  recipe.text(kExtends, "");  // known in every recipe
  return recipe;
}

std::string recipe_text(const std::filesystem::path& path) {
  std::string all;
  for (const RecipeFile& file : read_files(path)) all += file.text;
  return all;
}

}  // namespace ichigo
