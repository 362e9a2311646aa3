// Expressions of the Jinja subset (jinja.h): literals, names, .attribute, [index], methods of texts and lists, filters,
// arithmetic, comparisons, `in`, `is defined`, and/or/not, `a if b else c`.
#pragma once
#include <string>
#include <string_view>

#include "evaluation/jinja.h"

namespace ichigo {

// Throws Error that begins with `where` and quotes the expression.
Jinja::Expression parse_expression(std::string_view source, const std::string& where);
// The json of a value. Throws Error when it is undefined.
const nlohmann::json& require_defined(const Jinja::Value& value);
// As Python's bool().
bool is_true(const Jinja::Value& value);

}  // namespace ichigo
