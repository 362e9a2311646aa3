// PCRE2 behind a small face.
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr std::string_view kWhiteSpace =
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// Writes \s and \S out as classes; \S inside a class stays Perl's (no pattern of ours has it there).
std::string with_white_space(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's' && in_class) {
        out += kWhiteSpace;
      } else if (next == 's' || (next == 'S' && !in_class)) {
        out += next == 's' ? "[" : "[^";
        out += kWhiteSpace;
        out += "]";
      } else {
        out += {c, next};
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

struct Free {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

std::string message_of(int error) {
  char buffer[256];
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR8*>(buffer), sizeof(buffer));
  return buffer;
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

std::string_view Regex::Match::operator[](size_t group) const {
  if (group >= groups_ || offsets_[2 * group] == PCRE2_UNSET) return {};
  return subject_.substr(offsets_[2 * group], offsets_[2 * group + 1] - offsets_[2 * group]);
}

Regex::Regex(std::string pattern) : pattern_(std::move(pattern)) {
  require(pattern_.size() < 65536, "A regular expression of ", pattern_.size(), " bytes is longer than any we know.");
  const std::string text = with_white_space(pattern_);
  auto code = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF | PCRE2_UCP, &error,
                             &offset, nullptr);
  require(code->code != nullptr, "The regular expression \"", pattern_, "\" is not valid: ", message_of(error), ".");
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // where it cannot, pcre2_match interprets
  code_ = std::move(code);
}

size_t Regex::groups() const {
  uint32_t count = 0;
  pcre2_pattern_info(code_->code, PCRE2_INFO_CAPTURECOUNT, &count);
  return count;
}

void Regex::for_each(std::string_view subject, const std::function<void(const Match&)>& visit) const {
  const std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create_from_pattern(code_->code, nullptr));
  const std::unique_ptr<pcre2_match_context, Free> context(pcre2_match_context_create(nullptr));
  require(data != nullptr && context != nullptr, "Out of memory for a regular expression.");
  // Long runs of one character are legitimate, patterns that try out every way to part a word are not.
  pcre2_set_match_limit(context.get(),
                        static_cast<uint32_t>(std::min<size_t>(UINT32_MAX, 10'000'000 + 1000 * subject.size())));
  Match match;
  match.subject_ = subject;
  match.offsets_ = pcre2_get_ovector_pointer(data.get());
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data() == nullptr ? "" : subject.data());
  size_t position = 0;
  uint32_t options = PCRE2_NO_UTF_CHECK;
  while (position <= subject.size()) {
    int found = pcre2_match(code_->code, text, subject.size(), position, options, data.get(), context.get());
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found =
          pcre2_match(code_->code, text, subject.size(), position, options | PCRE2_NO_JIT, data.get(), context.get());
    }
    if (found == PCRE2_ERROR_NOMATCH && (options & PCRE2_NOTEMPTY_ATSTART) == 0) break;
    if (found == PCRE2_ERROR_NOMATCH) {
      // Nothing but the empty match here: one character on.
      options = PCRE2_NO_UTF_CHECK;
      do ++position;
      while (position < subject.size() && (static_cast<unsigned char>(subject[position]) & 0xC0) == 0x80);
      continue;
    }
    require(found > 0, "Matching \"", pattern_, "\" failed: ", message_of(found), ".");
    match.groups_ = static_cast<size_t>(found);
    visit(match);
    position = match.end();
    options = PCRE2_NO_UTF_CHECK;
    if (match.begin() == match.end()) options |= PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED;
  }
}

std::string Regex::replace(std::string_view subject,
                           const std::function<std::string(const Match&)>& replacement) const {
  std::string out;
  size_t done = 0;
  for_each(subject, [&](const Match& match) {
    out += subject.substr(done, match.begin() - done);
    out += replacement(match);
    done = match.end();
  });
  out += subject.substr(done);
  return out;
}

std::string Regex::replace(std::string_view subject, std::string_view replacement) const {
  return replace(subject, [&](const Match& match) {
    std::string out;
    for (size_t i = 0; i < replacement.size(); ++i) {
      if (replacement[i] == '$' && i + 1 < replacement.size() && replacement[i + 1] >= '1' &&
          replacement[i + 1] <= '9') {
        out += match[static_cast<size_t>(replacement[++i] - '0')];
      } else {
        out += replacement[i];
      }
    }
    return out;
  });
}

}  // namespace ichigo
