// The data comes as text (unicode_data.inc) and is unfolded at its first use.
#include "text/unicode.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "text/regex.h"
#include "text/utf8.h"

namespace ichigo {
namespace {

#include "text/unicode_data.inc"

constexpr char32_t kHangulFirst = 0xAC00, kHangulCount = 11172;
constexpr char32_t kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;  // the tail before the first one
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28;

struct Decomposition {
  bool compatibility;
  std::u32string text;
};

struct UnicodeData {
  std::unordered_map<char32_t, Decomposition> decompositions;
  std::unordered_map<uint64_t, char32_t> compositions;
  std::unordered_map<char32_t, int> classes;
  std::unordered_map<char32_t, char32_t> lower;
};

uint64_t pair_of(char32_t first, char32_t second) {
  return static_cast<uint64_t>(first) << 32 | second;
}

char32_t read_hex(const char*& at) {
  char* end = nullptr;
  const auto value = static_cast<char32_t>(std::strtoul(at, &end, 16));
  at = end;
  return value;
}

void read_decompositions(UnicodeData& data) {
  char32_t code = 0;
  for (const char* at = kDecompositions; *at != '\0'; ++at) {  // ++at passes the semicolon
    if (*at != '=' && *at != '!' && *at != '~') code = read_hex(at);
    const char kind = *at;
    std::u32string text;
    do {
      ++at;
      text.push_back(read_hex(at));
    } while (*at == ',');
    char32_t more = 0;
    if (*at == '+') more = read_hex(++at);
    if (kind == '=') data.compositions[pair_of(text[0], text[1])] = code;
    for (char32_t i = 0; i <= more; ++i, ++code, ++text.back()) data.decompositions[code] = {kind == '~', text};
  }
}

void read_runs(UnicodeData& data) {
  for (const char* at = kLowercase; *at != '\0'; ++at) {
    const char32_t code = read_hex(at);
    const char32_t lower = read_hex(++at);
    const char32_t more = *at == '+' ? read_hex(++at) : 0;
    const char32_t step = *at == '*' ? 2 : 1;
    if (step == 2) ++at;
    for (char32_t i = 0; i <= more; ++i) data.lower[code + i * step] = lower + i * step;
  }
  for (const char* at = kCombiningClasses; *at != '\0'; ++at) {
    const char32_t code = read_hex(at);
    const auto combining_class = static_cast<int>(read_hex(++at));
    const char32_t more = *at == '+' ? read_hex(++at) : 0;
    for (char32_t i = 0; i <= more; ++i) data.classes[code + i] = combining_class;
  }
}

const UnicodeData& unicode_data() {
  static const UnicodeData data = [] {
    UnicodeData result;
    read_decompositions(result);
    read_runs(result);
    return result;
  }();
  return data;
}

int combining_class(char32_t code_point) {
  if (code_point < 0x300) return 0;
  const auto& classes = unicode_data().classes;
  const auto found = classes.find(code_point);
  return found == classes.end() ? 0 : found->second;
}

void decompose(char32_t code_point, bool compatibility, std::u32string& out) {
  if (code_point < 0xA0) return out.push_back(code_point);
  if (code_point >= kHangulFirst && code_point < kHangulFirst + kHangulCount) {
    const char32_t index = code_point - kHangulFirst;
    out.push_back(kLead + index / (kVowels * kTails));
    out.push_back(kVowel + index / kTails % kVowels);
    if (index % kTails != 0) out.push_back(kTail + index % kTails);
    return;
  }
  const auto& decompositions = unicode_data().decompositions;
  const auto found = decompositions.find(code_point);
  if (found == decompositions.end() || (found->second.compatibility && !compatibility)) {
    return out.push_back(code_point);
  }
  for (const char32_t part : found->second.text) decompose(part, compatibility, out);
}

std::u32string decomposed(std::u32string_view text, bool compatibility) {
  std::u32string out;
  for (const char32_t code_point : text) decompose(code_point, compatibility, out);
  for (size_t begin = 0; begin < out.size(); ++begin) {
    size_t end = begin;
    while (end < out.size() && combining_class(out[end]) != 0) ++end;
    if (end - begin < 2) continue;
    std::stable_sort(out.begin() + static_cast<ptrdiff_t>(begin), out.begin() + static_cast<ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  return out;
}

// The primary composite of a pair, 0 when there is none.
char32_t composite(char32_t first, char32_t second) {
  if (first >= kLead && first < kLead + kLeads && second >= kVowel && second < kVowel + kVowels) {
    return kHangulFirst + ((first - kLead) * kVowels + second - kVowel) * kTails;
  }
  if (first >= kHangulFirst && first < kHangulFirst + kHangulCount && (first - kHangulFirst) % kTails == 0 &&
      second > kTail && second < kTail + kTails) {
    return first + second - kTail;
  }
  const auto& compositions = unicode_data().compositions;
  const auto found = compositions.find(pair_of(first, second));
  return found == compositions.end() ? 0 : found->second;
}

std::u32string composed(const std::u32string& text) {
  std::u32string out;
  size_t starter = std::u32string::npos;
  int last_class = -1;  // of what stands between the starter and here; -1: nothing
  for (const char32_t code_point : text) {
    const int here = combining_class(code_point);
    if (starter != std::u32string::npos && last_class < here) {
      if (const char32_t both = composite(out[starter], code_point)) {
        out[starter] = both;
        continue;
      }
    }
    if (here == 0) starter = out.size();
    last_class = here == 0 ? -1 : here;
    out.push_back(code_point);
  }
  return out;
}

// By code point: NFC leaves it as it is, whatever stands before it. A text may be cut before such a character and its
// parts normalised one by one (annex 15, section 9).
std::vector<bool> settled_in_nfc() {
  std::vector<bool> settled(0x110000, true);
  settled[0xFFFD] = false;  // it also stands for an invalid byte
  std::vector<bool> joins(settled.size());  // composes with, or is ordered among, what stands before it
  const UnicodeData& data = unicode_data();
  for (const auto& [pair, both] : data.compositions) joins[pair & 0xFFFFFFFF] = true;
  for (const auto& [code_point, combining_class] : data.classes) joins[code_point] = combining_class != 0;
  for (char32_t i = 0; i < kVowels; ++i) joins[kVowel + i] = true;
  for (char32_t i = 0; i < kTails; ++i) joins[kTail + i] = true;
  for (const auto& [code_point, decomposition] : data.decompositions) {
    const std::u32string parts = decomposed({&code_point, 1}, false);
    settled[code_point] = !joins[parts[0]] && composed(parts) == std::u32string_view(&code_point, 1);
  }
  for (size_t i = 0; i < joins.size(); ++i) settled[i] = settled[i] && !joins[i];
  return settled;
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
  // Nothing below U+0300 (lead byte 0xCC) takes part in canonical composition on its own: no tables for such a text.
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xCC; })) {
    return std::string(text);
  }
  static const std::vector<bool> settled = settled_in_nfc();
  std::string out;
  size_t done = 0, last_settled = 0;  // `out` is text[0, done) normalised
  bool pending = false;               // something after text[last_settled] is not settled
  for (std::string_view rest = text;;) {
    const size_t here = text.size() - rest.size();
    const bool at_end = rest.empty();
    if (!at_end && !settled[take_code_point(rest)]) {
      pending = true;
      continue;
    }
    if (pending) {
      out += text.substr(done, last_settled - done);
      out += encode_utf8(composed(decomposed(decode_utf8(text.substr(last_settled, here - last_settled)), false)));
      done = here;
      pending = false;
    }
    if (at_end) break;
    last_settled = here;
  }
  out += text.substr(done);
  return out;
}

std::string normalize_nfkc(std::string_view text) {
  return encode_utf8(composed(decomposed(decode_utf8(text), true)));
}

std::string normalize_nfkd(std::string_view text) {
  return encode_utf8(decomposed(decode_utf8(text), true));
}

std::string lower_case(std::string_view text) {
  static const Regex final_sigma(R"((?<=[\p{L}\p{N}])(\p{Mn}*)Σ(?![\p{Mn}'’.:]*\p{L}))");
  std::string source(text);
  if (source.find("Σ") != std::string::npos) source = final_sigma.replace(encode_utf8(decode_utf8(source)), "$1ς");
  std::string out;
  out.reserve(source.size());
  const auto& lower = unicode_data().lower;
  for (const char32_t code_point : decode_utf8(source)) {
    const auto found = lower.find(code_point);
    if (code_point == 0x130) {
      out += "i\u0307";
    } else {
      append_utf8(out, found == lower.end() ? code_point : found->second);
    }
  }
  return out;
}

}  // namespace ichigo
