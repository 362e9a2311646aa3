// The part of Jinja that the task files of lm-evaluation-harness use: {{ expressions }}, {% if %}, {# remarks #}.
// Undefined names are errors, as in the harness. What is not known is refused when the template is read.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ichigo {

class Jinja {
 public:
  // Throws Error that begins with `where` and names the line of the template and what it does not know.
  Jinja(const std::string& source, std::string where);

  // `variables`: an object. Throws Error: an undefined name, an operation that its values do not have.
  std::string render(const nlohmann::json& variables) const;
  // The value of a template that is one {{ expression }} and nothing else; of any other what it renders to.
  nlohmann::json value(const nlohmann::json& variables) const;

  // Nothing: undefined.
  struct Value {
    bool defined = true;
    nlohmann::json json;
    std::string name;  // of what is undefined
  };
  using Expression = std::function<Value(const nlohmann::json& variables)>;
  struct Part {
    std::string text;   // of a part without expression
    Expression output;  // {{ }}
    struct Branch;      // {% if %}
    std::vector<Branch> branches;
  };

 private:
  std::string where_;
  std::vector<Part> parts_;
};

struct Jinja::Part::Branch {
  Expression condition;
  std::vector<Part> parts;
};

// As Python's str() prints a value.
std::string python_text(const nlohmann::json& value);

}  // namespace ichigo
