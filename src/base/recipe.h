// A recipe: one YAML file per training or synthesis run. Every key is known; an unknown one is an error that names
// the nearest known one, and a wrong value an error that names the key and what was expected.
// A recipe that differs little from another says so: `extends: OTHER.yaml` (beside it) takes over every key that it
// does not have itself, in mappings key by key; a list is replaced as a whole.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace YAML {
class Node;
}

namespace ichigo {

// A mapping of the recipe. Each getter marks its key as known; finish() throws Error for keys nobody asked for.
class RecipeNode {
 public:
  // A mapping as one file has it. Throws Error when it is none.
  struct Layer {
    std::shared_ptr<YAML::Node> node;
    std::string where;  // "recipes/x.yaml: mixture[1]"
  };
  // The first layer that has a key decides.
  explicit RecipeNode(std::vector<Layer> layers);

  bool has(const std::string& key) const;
  std::string text(const std::string& key);  // throws when missing
  std::string text(const std::string& key, const std::string& fallback);
  double number(const std::string& key, double fallback);
  int64_t integer(const std::string& key, int64_t fallback);
  bool flag(const std::string& key, bool fallback);
  std::vector<std::string> texts(const std::string& key);  // a list; empty when missing
  std::filesystem::path path(const std::string& key);      // as written, throws when missing
  std::filesystem::path path(const std::string& key, const std::string& fallback);
  RecipeNode child(const std::string& key);                  // a mapping; empty when missing
  std::vector<RecipeNode> children(const std::string& key);  // a list of mappings
  void finish() const;                                       // throws for unknown keys
  // Throws what one of these configurations says against itself, with the recipe's name before it.
  template <typename... Configs>
  void validate(const Configs&... configs) const {
    try {
      (configs.validate(), ...);
    } catch (const Error& error) {
      fail(where(), ": ", error.what());
    }
  }
  const std::string& where() const { return layers_.front().where; }  // "recipes/x.yaml: mixture[1]"

 private:
  struct Value;
  Value find(const std::string& key) const;

  std::vector<Layer> layers_;
  std::vector<std::string> known_;
};

// Reads a recipe and those that it extends. Throws Error with file and line when one is not YAML or not a mapping, or
// extends itself.
RecipeNode read_recipe(const std::filesystem::path& path);
// The bytes of all these files: what tells recipes apart.
std::string recipe_text(const std::filesystem::path& path);

}  // namespace ichigo
