#include "evaluation/jinja.h"

#include <algorithm>

#include "base/error.h"
#include "evaluation/jinja_expression.h"
#include "text/trim.h"

namespace ichigo {

using nlohmann::json;
using Part = Jinja::Part;

namespace {

std::string quoted(const std::string& text) {
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      result += std::string("\\") + c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else {
      result += c;
    }
  }
  return result + quote;
}

std::string element_text(const json& value) {
  return value.is_string() ? quoted(value.get_ref<const std::string&>()) : python_text(value);
}

struct Tag {
  enum Kind { kText, kOutput, kStatement, kEnd } kind = kEnd;
  std::string text;
  std::string where;  // with the line
};

// Cuts a template into text and tags; white space beside "{%-" and "-%}" is left out.
class Tags {
 public:
  Tags(const std::string& source, const std::string& where) : source_(source), where_(where) {}

  Tag next() {
    while (at_ < source_.size()) {
      const std::string_view left = std::string_view(source_).substr(at_);
      const size_t open = find_open(left);
      if (open > 0) {
        std::string_view text = left.substr(0, open);
        at_ += open;
        if (after_trim_) text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
        if (open + 2 < left.size() && left[open + 2] == '-') {
          text = text.substr(0, text.find_last_not_of(kSpace) + 1);  // npos + 1: nothing is left
        }
        after_trim_ = false;
        if (!text.empty()) return {Tag::kText, std::string(text), where_};
        continue;
      }
      const std::string where = concat(
          where_, ", line ", 1 + std::count(source_.begin(), source_.begin() + static_cast<std::ptrdiff_t>(at_), '\n'));
      const std::string close = left[1] == '{' ? "}}" : left[1] == '%' ? "%}" : "#}";
      const size_t end = left.find(close, 2);
      require(end != std::string_view::npos, where, ": \"", left.substr(0, 2), "\" without \"", close, "\"");
      std::string_view inner = left.substr(2, end - 2);
      if (inner.starts_with('-')) inner.remove_prefix(1);
      after_trim_ = inner.ends_with('-');
      if (after_trim_) inner.remove_suffix(1);
      at_ += end + 2;
      if (close == "#}") continue;
      return {close == "}}" ? Tag::kOutput : Tag::kStatement, std::string(trimmed(inner)), where};
    }
    return {Tag::kEnd, "", where_};
  }

 private:
  static constexpr const char* kSpace = " \t\r\n";

  static size_t find_open(std::string_view text) {
    size_t at = text.find('{');
    while (at != std::string_view::npos &&
           !(at + 1 < text.size() && std::string_view("{%#").find(text[at + 1]) != std::string_view::npos)) {
      at = text.find('{', at + 1);
    }
    return std::min(at, text.size());
  }

  const std::string& source_;
  const std::string& where_;
  size_t at_ = 0;
  bool after_trim_ = false;
};

// Parts up to a statement that is not an "if", which `end` becomes.
std::vector<Part> parse_parts(Tags& tags, Tag& end, int depth);

Part parse_if(Tags& tags, Tag tag, int depth) {
  require(depth < 16, tag.where, ": {% if %} is nested too deeply");
  const std::string begin = tag.where;
  Part part;
  while (true) {
    Part::Branch branch;
    const std::string_view text = tag.text;
    if (text.starts_with("if ") || text.starts_with("elif ")) {
      branch.condition = parse_expression(text.substr(text.find(' ')), tag.where);
    } else {
      branch.condition = [](const json&) { return Jinja::Value{.json = true}; };
    }
    branch.parts = parse_parts(tags, tag, depth + 1);
    part.branches.push_back(std::move(branch));
    if (tag.text == "endif") return part;
    require(tag.kind == Tag::kStatement, begin, ": {% if %} without {% endif %}");
  }
}

std::vector<Part> parse_parts(Tags& tags, Tag& end, int depth) {
  std::vector<Part> parts;
  while (true) {
    Tag tag = tags.next();
    if (tag.kind == Tag::kText) {
      parts.push_back({.text = tag.text});
    } else if (tag.kind == Tag::kOutput) {
      parts.push_back({.output = parse_expression(tag.text, tag.where)});
    } else if (tag.kind == Tag::kStatement && tag.text.starts_with("if ")) {
      parts.push_back(parse_if(tags, tag, depth));
    } else {
      const bool inside = tag.text.starts_with("elif ") || tag.text == "else" || tag.text == "endif";
      require(tag.kind == Tag::kEnd || (inside && depth > 0), tag.where, ": {% ", tag.text, " %} is not supported",
              inside ? " here" : "");
      end = std::move(tag);
      return parts;
    }
  }
}

void render_parts(const std::vector<Part>& parts, const json& variables, std::string& text) {
  for (const Part& part : parts) {
    if (part.output) {
      text += python_text(require_defined(part.output(variables)));
    } else if (part.branches.empty()) {
      text += part.text;
    }
    for (const auto& branch : part.branches) {
      if (!is_true(branch.condition(variables))) continue;
      render_parts(branch.parts, variables, text);
      break;
    }
  }
}

}  // namespace

std::string python_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_null()) return "None";
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto& [key, item] : value.items()) {
    text += (text.empty() ? "" : ", ") + (value.is_object() ? quoted(key) + ": " : "") + element_text(item);
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

Jinja::Jinja(const std::string& source, std::string where) : where_(std::move(where)) {
  Tags tags(source, where_);
  Tag end;
  parts_ = parse_parts(tags, end, 0);
}

std::string Jinja::render(const json& variables) const {
  try {
    std::string text;
    render_parts(parts_, variables, text);
    return text;
  } catch (const Error& error) {
    fail(where_, ": ", error.what());
  }
}

json Jinja::value(const json& variables) const {
  if (parts_.size() != 1 || !parts_[0].output) return render(variables);
  try {
    return require_defined(parts_[0].output(variables));
  } catch (const Error& error) {
    fail(where_, ": ", error.what());
  }
}

}  // namespace ichigo
