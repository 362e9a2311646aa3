// Regular expressions over UTF-8 (PCRE2 with Unicode properties, compiled to machine code where possible).
// \s and \S are Unicode's White_Space everywhere, as in Oniguruma and Rust, not Perl's.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ichigo {

class Regex {
 public:
  // A match: the whole and its groups (views into the subject).
  class Match {
   public:
    std::string_view operator[](size_t group) const;
    size_t begin() const { return offsets_[0]; }
    size_t end() const { return offsets_[1]; }

   private:
    friend class Regex;
    std::string_view subject_;
    const size_t* offsets_ = nullptr;
    size_t groups_ = 0;
  };

  // Throws Error quoting the pattern and what is wrong with it.
  explicit Regex(std::string pattern);
  const std::string& pattern() const { return pattern_; }
  size_t groups() const;  // so many the pattern has

  // Calls `visit` for each match from left to right. `subject` must be valid UTF-8.
  // A template would save an indirect call; the match itself costs ten times as much.
  void for_each(std::string_view subject, const std::function<void(const Match&)>& visit) const;
  // Every match replaced by what `replacement` gives for it / by a text in which $1 stands for the first group.
  std::string replace(std::string_view subject, const std::function<std::string(const Match&)>& replacement) const;
  std::string replace(std::string_view subject, std::string_view replacement) const;

 private:
  struct Code;
  std::string pattern_;
  std::shared_ptr<const Code> code_;
};

}  // namespace ichigo
