// Sound tokens in a vocabulary and in text.
#include "text/sound_vocabulary.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr std::string_view kStart = "<|sound_start|>", kEnd = "<|sound_end|>", kPrefix = "<|sound_", kSuffix = "|>";
constexpr std::string_view kDuration = "<|duration_";
constexpr size_t kDigits = 4, kDurationDigits = 2;
constexpr int64_t kMostCodes = 10000;
constexpr int64_t kShortestDuration = 2, kLongestDuration = 49;

std::string duration_token(int64_t length) {
  char text[32];
  std::snprintf(text, sizeof(text), "<|duration_%02d|>", static_cast<int>(length));
  return text;
}

}  // namespace

SoundVocabulary::SoundVocabulary(const BytePairTokenizer& tokenizer)
    : start_(tokenizer.id_of(kStart)), end_(tokenizer.id_of(kEnd)), first_(tokenizer.id_of(sound_token(0))) {
  require(start_ >= 0 && end_ >= 0 && first_ >= 0,
          "The tokenizer has no sound tokens: it belongs to a text model, not to one that hears.");
  while (codes_ < kMostCodes) {
    const int64_t id = tokenizer.id_of(sound_token(codes_));
    if (id < 0) break;
    require(id == first_ + codes_, "The sound tokens are not consecutive: ", sound_token(codes_), " has the id ", id,
            " instead of ", first_ + codes_, ".");
    ++codes_;
  }
  const int64_t shortest = tokenizer.id_of(duration_token(kShortestDuration));
  if (shortest < 0) return;
  for (int64_t length = kShortestDuration; length <= kLongestDuration; ++length) {
    require(tokenizer.id_of(duration_token(length)) == shortest + length - kShortestDuration,
            "The duration tokens are not consecutive from ", duration_token(kShortestDuration), " to ",
            duration_token(kLongestDuration), ".");
  }
  first_duration_ = shortest;
}

void SoundVocabulary::extend(BytePairTokenizer& tokenizer, int64_t codes) {
  require(codes > 0 && codes < kMostCodes, "A sound vocabulary has 1 to ", kMostCodes - 1, " codes, not ", codes, ".");
  tokenizer.add_tokens({std::string(kStart), std::string(kEnd)}, true);
  std::vector<std::string> texts;
  for (int64_t code = 0; code <= codes; ++code) texts.push_back(sound_token(code));
  tokenizer.add_tokens(texts, false);
}

std::vector<int64_t> SoundVocabulary::ids(std::span<const int> codes) const {
  std::vector<int64_t> out = {start_};
  for (size_t i = 0; i < codes.size();) {
    const int code = codes[i];
    require(code < codes_, "The sound code ", code, " is not in this vocabulary of ", codes_, ".");
    size_t run = 1;
    if (first_duration_ >= 0 && code >= 0) {
      while (run < kLongestDuration && i + run < codes.size() && codes[i + run] == code) ++run;
      if (run > 1) out.push_back(first_duration_ + static_cast<int64_t>(run) - kShortestDuration);
    }
    out.push_back(code < 0 ? code : id(code));
    i += run;
  }
  out.push_back(end_);
  return out;
}

int64_t SoundVocabulary::fewest_ids(int64_t codes) const {
  if (first_duration_ < 0) return codes + 2;
  return 2 * (codes / kLongestDuration) + std::min<int64_t>(codes % kLongestDuration, 2) + 2;
}

std::vector<std::pair<int64_t, int64_t>> SoundVocabulary::ranges() const {
  std::vector<std::pair<int64_t, int64_t>> ranges = {{start_, start_ + 1}, {end_, end_ + 1}, {first_, first_ + codes_}};
  if (first_duration_ >= 0)
    ranges.emplace_back(first_duration_, first_duration_ + kLongestDuration - kShortestDuration + 1);
  return ranges;
}

std::string sound_token(int64_t code) {
  require(code >= 0 && code < kMostCodes, "The sound code ", code, " does not have four digits.");
  char text[32];
  std::snprintf(text, sizeof(text), "<|sound_%04d|>", static_cast<int>(code));
  return text;
}

std::string sound_string(std::span<const int> codes) {
  std::string out(kStart);
  for (const int code : codes) out += sound_token(code);
  return out.append(kEnd);
}

std::vector<int> parse_sound_string(std::string_view text) {
  const std::string_view whole = text;
  const auto wrong = [&]() {
    fail("Not a sound string at byte ", whole.size() - text.size(),
         ": expected <|sound_start|><|sound_0000|>...<|sound_end|>.");
  };
  const auto take = [&](std::string_view expected) {
    if (!text.starts_with(expected)) wrong();
    text.remove_prefix(expected.size());
  };
  const auto take_number = [&](std::string_view before, size_t digits) {
    take(before);
    int number = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (text.empty() || text[0] < '0' || text[0] > '9') wrong();
      number = 10 * number + (text[0] - '0');
      text.remove_prefix(1);
    }
    take(kSuffix);
    return number;
  };
  std::vector<int> codes;
  take(kStart);
  while (!text.starts_with(kEnd)) {
    int length = 1;
    if (text.starts_with(kDuration)) {
      length = take_number(kDuration, kDurationDigits);
      require(kShortestDuration <= length && length <= kLongestDuration, "Not a sound string: a duration of ", length,
              " at byte ", whole.size() - text.size(), ", expected ", kShortestDuration, " to ", kLongestDuration, ".");
    }
    const int code = take_number(kPrefix, kDigits);
    codes.insert(codes.end(), static_cast<size_t>(length), code);
  }
  take(kEnd);
  if (!text.empty()) wrong();
  return codes;
}

}  // namespace ichigo
