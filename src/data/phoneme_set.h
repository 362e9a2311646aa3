// The phones of a feature file and their numbers: the targets of the CTC loss. Number 0 is CTC's blank.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/feature_file.h"

namespace ichigo {

// espeak-ng's phones of English folded to 40, about as phone error rates are usually given: allophones joined (ɾ -> t,
// ᵻ -> ɪ, ɐ -> ə, ɚ -> ɜ), vowels with r and syllabic consonants split. What is no English phone is left out.
std::vector<std::string> fold_phones(const std::vector<std::string>& phones);

class PhonemeSet {
 public:
  // Numbers the phones 1, 2... in the order of their bytes. Throws Error on an empty phone or one given twice.
  explicit PhonemeSet(std::vector<std::string> phones);
  // Every phone that occurs in the clips.
  static PhonemeSet of(const std::vector<FeatureClip>& clips);
  // {"phones": ["a", "b", ...]}. Throws Error when the file is not that.
  static PhonemeSet load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;

  int64_t size() const { return static_cast<int64_t>(phones_.size()) + 1; }  // blank included
  // Throws Error on a phone that is not in the set, or leaves it out.
  std::vector<int64_t> encode(const std::vector<std::string>& phones, bool leave_out_unknown = false) const;
  // `id` in [1, size()).
  const std::string& phone(int64_t id) const { return phones_.at(static_cast<size_t>(id - 1)); }

 private:
  std::vector<std::string> phones_;
  std::map<std::string, int64_t> ids_;
};

}  // namespace ichigo
