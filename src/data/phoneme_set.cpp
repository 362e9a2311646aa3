#include "data/phoneme_set.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"

namespace ichigo {
namespace {

using Folded = std::vector<std::string>;

// The 40 phones, each standing for itself, and what others become.
const std::map<std::string, Folded>& folding() {
  static const std::map<std::string, Folded> table = [] {
    std::map<std::string, Folded> map = {
        {"ɐ", {"ə"}},       {"ᵻ", {"ɪ"}},       {"ɾ", {"t"}},         {"ɚ", {"ɜ"}},         {"o", {"ɔ"}},
        {"ʔ", {"t"}},       {"x", {"k"}},       {"r", {"ɹ"}},         {"e", {"eɪ"}},        {"a", {"æ"}},
        {"ɬ", {"l"}},       {"ç", {"h"}},       {"œ", {"ə"}},         {"ø", {"ə"}},         {"y", {"u"}},
        {"ɒ", {"ɑ"}},       {"ɲ", {"n"}},       {"nʲ", {"n"}},        {"g", {"ɡ"}},         {"ɐɐ", {"ə"}},
        {"ɜɹ", {"ɜ"}},      {"ææ", {"æ"}},      {"ɑ̃", {"ɑ"}},         {"ɔ̃", {"ɔ"}},         {"əl", {"ə", "l"}},
        {"n̩", {"ə", "n"}},  {"iə", {"i", "ə"}}, {"aɪɚ", {"aɪ", "ɜ"}}, {"aɪə", {"aɪ", "ə"}}, {"aɪʊ", {"aɪ", "ə"}},
        {"ɔɹ", {"ɔ", "ɹ"}}, {"ɑɹ", {"ɑ", "ɹ"}}, {"oɹ", {"ɔ", "ɹ"}},   {"ɛɹ", {"ɛ", "ɹ"}},   {"ɪɹ", {"ɪ", "ɹ"}},
        {"ʊɹ", {"ʊ", "ɹ"}}};
    for (const char* phone :
         {"p", "b", "t", "d", "k", "ɡ", "f",  "v", "θ", "ð", "s", "z",  "ʃ", "ʒ", "h", "tʃ", "dʒ", "m",  "n",  "ŋ",
          "l", "ɹ", "j", "w", "i", "ɪ", "eɪ", "ɛ", "æ", "ɑ", "ɔ", "oʊ", "ʊ", "u", "ʌ", "ə",  "ɜ",  "aɪ", "aʊ", "ɔɪ"}) {
      map[phone] = {phone};
    }
    return map;
  }();
  return table;
}

}  // namespace

std::vector<std::string> fold_phones(const std::vector<std::string>& phones) {
  std::vector<std::string> folded;
  for (const auto& phone : phones) {
    const auto found = folding().find(phone);
    if (found != folding().end()) folded.insert(folded.end(), found->second.begin(), found->second.end());
  }
  return folded;
}

PhonemeSet::PhonemeSet(std::vector<std::string> phones) : phones_(std::move(phones)) {
  std::ranges::sort(phones_);
  for (const auto& phone : phones_) {
    require(!phone.empty(), "a phone must not be empty");
    require(ids_.emplace(phone, size_t{1} + ids_.size()).second, "the phone \"", phone, "\" is given twice");
  }
}

PhonemeSet PhonemeSet::of(const std::vector<FeatureClip>& clips) {
  std::set<std::string> phones;
  for (const auto& clip : clips) phones.insert(clip.phonemes.begin(), clip.phonemes.end());
  return PhonemeSet({phones.begin(), phones.end()});
}

PhonemeSet PhonemeSet::load(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  try {
    return PhonemeSet(nlohmann::json::parse(text).at("phones").get<std::vector<std::string>>());
  } catch (const std::exception& error) {
    fail(path.string(), " is not a phoneme set: ", error.what());
  }
}

void PhonemeSet::save(const std::filesystem::path& path) const {
  write_file(path, nlohmann::json{{"phones", phones_}}.dump(1) + "\n");
}

std::vector<int64_t> PhonemeSet::encode(const std::vector<std::string>& phones, bool leave_out_unknown) const {
  std::vector<int64_t> ids;
  for (const auto& phone : phones) {
    const auto found = ids_.find(phone);
    if (found != ids_.end()) {
      ids.push_back(found->second);
    } else {
      require(leave_out_unknown, "the phone \"", phone, "\" is not among the ", phones_.size(), " known ones");
    }
  }
  return ids;
}

}  // namespace ichigo
