#include "evaluation/jinja.h"

#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

// Expected values were written down from Jinja 3.1 with StrictUndefined.
TEST(Jinja, RendersAsJinjaDoes) {
  const json row = {{"q", "  What?  "}, {"choices", {"a'b", "c", 3}}, {"answer", "So it is.\n#### 42"},
                    {"n", 2},           {"part", {{"name", "x"}}},    {"yes", true},
                    {"none", nullptr}};
  const auto render = [&](const std::string& source) { return Jinja(source, "t").render(row); };
  EXPECT_EQ(render("Q: {{q.strip()}}\nA:"), "Q: What?\nA:");
  EXPECT_EQ(render("{{choices[0]}} {{ choices[-1] }}"), "a'b 3");
  EXPECT_EQ(render("{{choices}} {{yes}} {{none}} {{part}}"), "[\"a'b\", 'c', 3] True None {'name': 'x'}");
  EXPECT_EQ(render("{{answer.split('####')[-1].strip() if answer is defined else target}}"), "42");
  EXPECT_EQ(render("{{target if target is defined else 'no'}}"), "no");
  EXPECT_EQ(render("{{target | default('d')}} {{q|trim|lower|replace('what','that')}}"), "d that?");
  EXPECT_EQ(render("{% if n > 1 and not yes %}a{% elif n == 2 %}b{% else %}c{% endif %}!"), "b!");
  EXPECT_EQ(render("a  {#- remark -#}  b\n{%- if yes -%}\n c {%- endif %}"), "abc");
  EXPECT_EQ(render("{{['A', 'B'][n - 1]}}{{n * 2 + 1}}{{'x' ~ n}}{{part.name}}{{part['name']}}"), "B5x2xx");
  EXPECT_EQ(render("{{choices.index('c')}} {{'c' in choices}} {{'z' not in 'abc'}} {{choices|length}}"),
            "1 True True 3");
  EXPECT_EQ(render("{{', '.join(['a', 'b'])}} {{choices | join('-')}} {{choices | last}}"), "a, b a'b-c-3 3");
  EXPECT_EQ(render("{ not a tag } {{'a\\n' + \"b\"}}"), "{ not a tag } a\nb");
  EXPECT_EQ(render("{{q.startswith(' ') or missing}}"), "True");
}

TEST(Jinja, KeepsTheValueOfASingleExpression) {
  EXPECT_EQ(Jinja("{{c}}", "t").value({{"c", {1, 2}}}), json({1, 2}));
  EXPECT_EQ(Jinja("{{c}} ", "t").value({{"c", {1, 2}}}), json("[1, 2] "));
}

TEST(Jinja, RefusesByNameAndLine) {
  const auto message = [](const std::string& source) {
    return test::error_of([&] { Jinja(source, "task.yaml: doc_to_text").render({{"a", "x"}, {"list", {1}}}); });
  };
  EXPECT_CONTAINS(message("a\n{% for x in y %}{% endfor %}"),
                  "task.yaml: doc_to_text, line 2: {% for x in y %} is not");
  EXPECT_CONTAINS(message("{{a.title()}}"), "line 1: {{a.title()}}: the method \"title()\" is not supported");
  EXPECT_CONTAINS(message("{{a | tojson}}"), "the filter \"tojson\" is not supported");
  EXPECT_CONTAINS(message("{{range(3)}}"), "the function \"range()\" is not supported");
  EXPECT_CONTAINS(message("{{a is odd}}"), "the test \"is odd\" is not supported");
  EXPECT_CONTAINS(message("{{a[1:]}}"), "expected \"]\" before \":]\"");
  EXPECT_CONTAINS(message("{{a"), "\"{{\" without \"}}\"");
  EXPECT_CONTAINS(message("{{}}"), "ends too early");
  EXPECT_CONTAINS(message("{{'a}}"), "a text does not end");
  EXPECT_CONTAINS(message("{% if a %}"), "without {% endif %}");
  EXPECT_CONTAINS(message("{% endif %}"), "{% endif %} is not supported here");
  EXPECT_CONTAINS(message("{{b}}"), "doc_to_text: \"b\" is not defined");
  EXPECT_CONTAINS(message("{{list[3]}}"), "the index 3 is outside of a list of 1");
  EXPECT_CONTAINS(message("{{a - 1}}"), "x - 1 cannot be computed");
  EXPECT_CONTAINS(message("{{list.strip()}}"), "strip() needs a text, not [1]");
  EXPECT_CONTAINS(message("{{" + std::string(500, '(') + "}}"), "nested too deeply");
}

}  // namespace
}  // namespace ichigo
