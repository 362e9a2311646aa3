#include "evaluation/jinja_expression.h"

#include <algorithm>

#include "base/error.h"
#include "text/trim.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace ichigo {

using nlohmann::json;
using Value = Jinja::Value;
using Expression = Jinja::Expression;

const json& require_defined(const Value& value) {
  require(value.defined, "\"", value.name, "\" is not defined");
  return value.json;
}

bool is_true(const Value& value) {
  const json& json = require_defined(value);
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number()) return json.get<double>() != 0;
  if (json.is_string()) return !json.get_ref<const std::string&>().empty();
  return !json.empty();
}

namespace {

Value value_of(json value) {
  return {.json = std::move(value)};
}

const std::string& text_of(const json& value, const std::string& what) {
  require(value.is_string(), what, " needs a text, not ", python_text(value));
  return value.get_ref<const std::string&>();
}

std::string stripped(const std::string& text, const json& arguments, bool left, bool right) {
  const std::string set = arguments.empty() ? " \t\n\v\f\r" : text_of(arguments[0], "strip()");
  const size_t begin = left ? text.find_first_not_of(set) : 0;
  if (begin == std::string::npos) return "";
  const size_t end = right ? text.find_last_not_of(set) : text.size() - 1;
  return end == std::string::npos ? "" : text.substr(begin, end + 1 - begin);
}

json split(const std::string& text, const json& arguments) {
  json parts = json::array();
  if (arguments.empty()) {
    std::string_view left = trimmed(text);
    while (!left.empty()) {
      const size_t end = std::min(left.find_first_of(" \t\n\v\f\r"), left.size());
      parts.push_back(left.substr(0, end));
      left = trimmed(left.substr(end));
    }
    return parts;
  }
  const std::string& separator = text_of(arguments[0], "split()");
  require(!separator.empty(), "split() needs a separator that is not empty");
  size_t begin = 0;
  for (size_t at = text.find(separator); at != std::string::npos; at = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  require(!from.empty(), "replace() needs a text to replace that is not empty");
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, begin)) {
    result += text.substr(begin, at - begin) + to;
    begin = at + from.size();
  }
  return result + text.substr(begin);
}

std::string joined(const json& list, const std::string& separator) {
  require(list.is_array(), "join() needs a list, not ", python_text(list));
  std::string result;
  for (size_t i = 0; i < list.size(); ++i) result += (i == 0 ? "" : separator) + python_text(list[i]);
  return result;
}

json element(const json& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.size());
  require(index >= -size && index < size, "the index ", index, " is outside of a list of ", size);
  return list[static_cast<size_t>(index < 0 ? index + size : index)];
}

struct Operation {
  const char* name;
  size_t fewest, most;  // arguments
  json (*run)(const json& self, const json& arguments);
};

constexpr Operation kMethods[] = {
    {"strip", 0, 1, [](const json& s, const json& a) { return json(stripped(text_of(s, "strip()"), a, true, true)); }},
    {"lstrip", 0, 1,
     [](const json& s, const json& a) { return json(stripped(text_of(s, "lstrip()"), a, true, false)); }},
    {"rstrip", 0, 1,
     [](const json& s, const json& a) { return json(stripped(text_of(s, "rstrip()"), a, false, true)); }},
    {"split", 0, 1, [](const json& s, const json& a) { return split(text_of(s, "split()"), a); }},
    {"lower", 0, 0, [](const json& s, const json&) { return json(lower_case(text_of(s, "lower()"))); }},
    {"startswith", 1, 1,
     [](const json& s, const json& a) {
       return json(text_of(s, "startswith()").starts_with(text_of(a[0], "startswith()")));
     }},
    {"endswith", 1, 1,
     [](const json& s, const json& a) {
       return json(text_of(s, "endswith()").ends_with(text_of(a[0], "endswith()")));
     }},
    {"replace", 2, 2,
     [](const json& s, const json& a) {
       return json(replaced(text_of(s, "replace()"), text_of(a[0], "replace()"), text_of(a[1], "replace()")));
     }},
    {"join", 1, 1, [](const json& s, const json& a) { return json(joined(a[0], text_of(s, "join()"))); }},
    {"index", 1, 1,
     [](const json& s, const json& a) {
       require(s.is_array(), "index() needs a list, not ", python_text(s));
       const auto found = std::find(s.begin(), s.end(), a[0]);
       require(found != s.end(), "index(): ", python_text(a[0]), " is not in ", python_text(s));
       return json(found - s.begin());
     }},
};

constexpr Operation kFilters[] = {
    {"trim", 0, 0, [](const json& s, const json&) { return json(trimmed(python_text(s))); }},
    {"lower", 0, 0, [](const json& s, const json&) { return json(lower_case(python_text(s))); }},
    {"string", 0, 0, [](const json& s, const json&) { return json(python_text(s)); }},
    {"replace", 2, 2,
     [](const json& s, const json& a) {
       return json(replaced(python_text(s), text_of(a[0], "replace"), text_of(a[1], "replace")));
     }},
    {"join", 0, 1,
     [](const json& s, const json& a) { return json(joined(s, a.empty() ? "" : text_of(a[0], "join"))); }},
    {"length", 0, 0,
     [](const json& s, const json&) {
       require(s.is_string() || s.is_structured(), "length needs a text or a list, not ", python_text(s));
       return json(s.is_string() ? decode_utf8(s.get_ref<const std::string&>()).size() : s.size());
     }},
    {"first", 0, 0, [](const json& s, const json&) { return element(s, 0); }},
    {"last", 0, 0, [](const json& s, const json&) { return element(s, -1); }},
};

template <size_t Count>
const Operation* find(const Operation (&list)[Count], std::string_view name) {
  const auto* found = std::ranges::find_if(list, [&](const Operation& operation) { return operation.name == name; });
  return found == std::end(list) ? nullptr : found;
}

json arithmetic(const std::string& sign, const json& a, const json& b) {
  if (sign == "~") return python_text(a) + python_text(b);
  if (sign == "+" && a.is_string() && b.is_string()) return a.get<std::string>() + b.get<std::string>();
  if (sign == "+" && a.is_array() && b.is_array()) {
    json sum = a;
    sum.insert(sum.end(), b.begin(), b.end());
    return sum;
  }
  require(a.is_number() && b.is_number(), python_text(a), " ", sign, " ", python_text(b), " cannot be computed");
  if (a.is_number_integer() && b.is_number_integer()) {
    const auto x = a.get<int64_t>(), y = b.get<int64_t>();
    return sign == "+" ? x + y : sign == "-" ? x - y : x * y;
  }
  const auto x = a.get<double>(), y = b.get<double>();
  return sign == "+" ? x + y : sign == "-" ? x - y : x * y;
}

bool compare(const std::string& sign, const json& a, const json& b) {
  if (sign == "==") return a == b;
  if (sign == "!=") return a != b;
  require((a.is_number() && b.is_number()) || (a.is_string() && b.is_string()), python_text(a), " ", sign, " ",
          python_text(b), " cannot be compared");
  return sign == "<" ? a < b : sign == "<=" ? a <= b : sign == ">" ? a > b : a >= b;
}

bool contains(const json& all, const json& part) {
  if (all.is_array()) return std::find(all.begin(), all.end(), part) != all.end();
  if (all.is_object()) return part.is_string() && all.contains(part.get_ref<const std::string&>());
  return text_of(all, "in").find(text_of(part, "in")) != std::string::npos;
}

class Parser {
 public:
  Parser(std::string_view source, const std::string& where) : source_(source), left_(source), where_(where) {}

  Expression whole() {
    require(source_.size() <= kLongest, where_, ": an expression of ", source_.size(),
            " bytes is longer than any we know");
    Expression expression = choice();
    skip_space();
    if (!left_.empty()) refuse(concat("\"", left_, "\" is not understood"));
    return expression;
  }

 private:
  static constexpr int kDepth = 64;
  static constexpr size_t kLongest = 8192;

  [[noreturn]] void refuse(const std::string& problem) const { fail(where_, ": {{", source_, "}}: ", problem); }

  void skip_space() { left_.remove_prefix(std::min(left_.find_first_not_of(" \t\r\n"), left_.size())); }
  static bool is_letter(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  // Whether the next thing is this sign, which is then taken.
  bool take(std::string_view sign) {
    skip_space();
    if (!left_.starts_with(sign)) return false;
    left_.remove_prefix(sign.size());
    return true;
  }
  void expect(std::string_view sign) {
    if (!take(sign)) refuse(concat("expected \"", sign, "\" before \"", left_, "\""));
  }
  std::string_view next_word() {
    skip_space();
    size_t end = 0;
    while (end < left_.size() && (is_letter(left_[end]) || (end > 0 && is_digit(left_[end])))) ++end;
    return left_.substr(0, end);
  }
  bool take_word(std::string_view word) {
    if (next_word() != word) return false;
    left_.remove_prefix(word.size());
    return true;
  }
  std::string name(const char* what) {
    const std::string word(next_word());
    if (word.empty()) refuse(concat("expected ", what, " before \"", left_, "\""));
    left_.remove_prefix(word.size());
    return word;
  }

  Expression choice() {
    if (++depth_ > kDepth) refuse("it is nested too deeply");
    Expression result = either();
    if (take_word("if")) {
      Expression condition = either();
      Expression otherwise;
      if (take_word("else")) {
        otherwise = choice();
      } else {
        refuse("an \"if\" without \"else\" is not supported");
      }
      result = [yes = result, condition, otherwise](const json& v) {
        return is_true(condition(v)) ? yes(v) : otherwise(v);
      };
    }
    --depth_;
    return result;
  }
  Expression either() {
    Expression result = both();
    while (take_word("or")) {
      result = [a = result, b = both()](const json& v) {
        Value first = a(v);
        return is_true(first) ? first : b(v);
      };
    }
    return result;
  }
  Expression both() {
    Expression result = negation();
    while (take_word("and")) {
      result = [a = result, b = negation()](const json& v) {
        Value first = a(v);
        return is_true(first) ? b(v) : first;
      };
    }
    return result;
  }
  Expression negation() {
    if (!take_word("not")) return comparison();
    if (++depth_ > kDepth) refuse("it is nested too deeply");
    Expression inner = negation();
    --depth_;
    return [inner](const json& v) { return value_of(!is_true(inner(v))); };
  }
  Expression comparison() {
    Expression result = sum();
    for (const std::string sign : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!take(sign)) continue;
      return [sign, a = result, b = sum()](const json& v) {
        return value_of(compare(sign, require_defined(a(v)), require_defined(b(v))));
      };
    }
    if (take_word("is")) {
      const bool negated = take_word("not");
      if (const std::string test = name("the name of a test"); test != "defined") {
        refuse("the test \"is " + test + "\" is not supported");
      }
      return [negated, a = result](const json& v) { return value_of(a(v).defined != negated); };
    }
    const bool negated = take_word("not");
    if (take_word("in")) {
      return [negated, a = result, b = sum()](const json& v) {
        return value_of(contains(require_defined(b(v)), require_defined(a(v))) != negated);
      };
    }
    if (negated) refuse("expected \"in\" behind \"not\"");
    return result;
  }
  Expression sum() {
    return binary({"+", "-", "~"}, [this] { return product(); });
  }
  Expression product() {
    return binary({"*"}, [this] { return filtered(); });
  }
  template <typename Operand>
  Expression binary(std::initializer_list<const char*> signs, const Operand& operand) {
    Expression result = operand();
    for (bool more = true; more;) {
      more = false;
      for (const std::string sign : signs) {
        if (!take(sign)) continue;
        result = [sign, a = result, b = operand()](const json& v) {
          return value_of(arithmetic(sign, require_defined(a(v)), require_defined(b(v))));
        };
        more = true;
      }
    }
    return result;
  }
  Expression filtered() {
    Expression result = access();
    while (take("|")) {
      const std::string word = name("the name of a filter");
      const std::vector<Expression> arguments = take("(") ? list(")") : std::vector<Expression>();
      if (word == "default" && arguments.size() == 1) {
        result = [a = result, other = arguments[0]](const json& v) {
          Value value = a(v);
          return value.defined ? value : other(v);
        };
        continue;
      }
      const Operation* operation = find(kFilters, word);
      if (operation == nullptr) refuse("the filter \"" + word + "\" is not supported");
      result = call(*operation, result, arguments);
    }
    return result;
  }
  Expression call(const Operation& operation, const Expression& self, const std::vector<Expression>& arguments) {
    if (arguments.size() < operation.fewest || arguments.size() > operation.most) {
      refuse(concat("\"", operation.name, "\" with ", arguments.size(), " arguments is not supported"));
    }
    return [&operation, self, arguments](const json& v) {
      json values = json::array();
      for (const auto& argument : arguments) values.push_back(require_defined(argument(v)));
      return value_of(operation.run(require_defined(self(v)), values));
    };
  }
  Expression access() {
    Expression result = operand();
    while (true) {
      if (take(".")) {
        const std::string word = name("a name");
        if (take("(")) {
          const Operation* operation = find(kMethods, word);
          if (operation == nullptr) refuse("the method \"" + word + "()\" is not supported");
          result = call(*operation, result, list(")"));
        } else {
          result = member(result, [word](const json&) { return value_of(word); });
        }
      } else if (take("[")) {
        Expression index = choice();
        expect("]");
        result = member(result, std::move(index));
      } else {
        return result;
      }
    }
  }
  static Expression member(const Expression& object, Expression key) {
    return [object, key = std::move(key)](const json& v) {
      const Value whole = object(v);
      const json& all = require_defined(whole);
      const Value at = key(v);
      const json& place = require_defined(at);
      if (all.is_array()) {
        require(place.is_number_integer(), python_text(place), " is not an index of a list");
        return value_of(element(all, place.get<int64_t>()));
      }
      require(all.is_object(), python_text(all), " has no parts");
      const std::string& word = text_of(place, "a key");
      return all.contains(word) ? value_of(all.at(word)) : Value{.defined = false, .name = word};
    };
  }
  // Expressions between commas, up to `end`, which is taken.
  std::vector<Expression> list(std::string_view end) {
    std::vector<Expression> items;
    while (!take(end)) {
      if (!items.empty()) {
        expect(",");
        if (take(end)) break;
      }
      items.push_back(choice());
    }
    return items;
  }
  Expression constant(json value) {
    return [value = std::move(value)](const json&) { return value_of(value); };
  }
  Expression operand() {
    skip_space();
    if (left_.empty()) refuse("it ends too early");
    if (take("(")) {
      Expression inner = choice();
      expect(")");
      return inner;
    }
    if (take("[")) {
      return [items = list("]")](const json& v) {
        json values = json::array();
        for (const auto& item : items) values.push_back(require_defined(item(v)));
        return value_of(values);
      };
    }
    if (left_[0] == '\'' || left_[0] == '"') return constant(text());
    if (is_digit(left_[0]) || left_[0] == '-') return constant(number());
    const std::string word = name("a value");
    if (word == "true" || word == "True") return constant(true);
    if (word == "false" || word == "False") return constant(false);
    if (word == "none" || word == "None") return constant(nullptr);
    if (take("(")) refuse("the function \"" + word + "()\" is not supported");
    return [word](const json& v) {
      return v.contains(word) ? value_of(v.at(word)) : Value{.defined = false, .name = word};
    };
  }
  std::string text() {
    const char quote = left_[0];
    std::string result;
    for (size_t i = 1; i < left_.size(); ++i) {
      if (left_[i] == quote) {
        left_.remove_prefix(i + 1);
        return result;
      }
      if (left_[i] == '\\' && i + 1 < left_.size()) {
        const char escaped = left_[++i];
        const std::string_view known = "nrt\\'\"", meaning = "\n\r\t\\'\"";
        const size_t at = known.find(escaped);
        if (at == std::string_view::npos) refuse(concat("the escape \\", escaped, " is not supported"));
        result += meaning[at];
      } else {
        result += left_[i];
      }
    }
    refuse("a text does not end");
  }
  json number() {
    const size_t digits = left_[0] == '-' ? 1 : 0;
    const size_t end = std::min(left_.find_first_not_of("0123456789.", digits), left_.size());
    const json value = json::parse(left_.substr(0, end), nullptr, false);
    if (!value.is_number()) refuse(concat("\"", left_.substr(0, end), "\" is not a number"));
    left_.remove_prefix(end);
    return value;
  }

  std::string_view source_, left_;
  const std::string& where_;
  int depth_ = 0;
};

}  // namespace

Expression parse_expression(std::string_view source, const std::string& where) {
  return Parser(source, where).whole();
}

}  // namespace ichigo
