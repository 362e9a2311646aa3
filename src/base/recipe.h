// A recipe: one YAML file per training or synthesis run. Every key is known; an unknown one is an error that names
// the nearest known one, and a wrong value an error that names the key and what was expected.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace YAML {
class Node;
}

namespace ichigo {

// A mapping of the recipe. Each getter marks its key as known; finish() throws Error for keys nobody asked for.
class RecipeNode {
 public:
  RecipeNode(std::shared_ptr<YAML::Node> node, std::string where);

  bool has(const std::string& key) const;
  std::string text(const std::string& key);                                     // throws when missing
  std::string text(const std::string& key, const std::string& fallback);
  double number(const std::string& key, double fallback);
  int64_t integer(const std::string& key, int64_t fallback);
  bool flag(const std::string& key, bool fallback);
  std::vector<std::string> texts(const std::string& key);                       // a list; empty when missing
  std::filesystem::path path(const std::string& key);                           // as written, throws when missing
  std::filesystem::path path(const std::string& key, const std::string& fallback);
  RecipeNode child(const std::string& key);                                     // a mapping; empty when missing
  std::vector<RecipeNode> children(const std::string& key);                     // a list of mappings
  void finish() const;                                                          // throws for unknown keys
  const std::string& where() const { return where_; }                           // "recipes/x.yaml: mixture[1]"

 private:
  std::shared_ptr<YAML::Node> node_;
  std::string where_;
  std::vector<std::string> known_;
};

// Reads FILE. Throws Error with file and line when it is not YAML or not a mapping.
RecipeNode read_recipe(const std::filesystem::path& path);

}  // namespace ichigo
