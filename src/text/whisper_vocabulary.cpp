// Facts of the two published vocabularies (multilingual.tiktoken, gpt2.tiktoken).
#include "text/whisper_vocabulary.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace ichigo {
namespace {

constexpr std::array<std::string_view, 100> kLanguages = {
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt",  "tr", "pl", "ca", "nl", "ar", "sv", "it", "id",
    "hi", "fi", "vi", "he", "uk", "el", "ms", "cs", "ro",  "da", "hu", "ta", "no", "th", "ur", "hr", "bg",
    "lt", "la", "mi", "ml", "cy", "sk", "te", "fa", "lv",  "bn", "sr", "az", "sl", "kn", "et", "mk", "br",
    "eu", "is", "hy", "ne", "mn", "bs", "kk", "sq", "sw",  "gl", "mr", "pa", "si", "km", "sn", "yo", "so",
    "af", "oc", "ka", "be", "tg", "sd", "gu", "am", "yi",  "lo", "uz", "fo", "ht", "ps", "tk", "nn", "mt",
    "sa", "lb", "my", "bo", "tl", "mg", "as", "tt", "haw", "ln", "ha", "ba", "jw", "su", "yue"};

// The single pieces of the symbols that openai-whisper names in Tokenizer.non_speech_tokens.
const std::vector<int64_t> kMultilingualNonSpeech = {
    1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,    31,    58,
    59,    60,    61,    62,    63,    90,    91,    92,    93,    359,   503,   522,   542,   873,
    893,   902,   918,   922,   931,   1350,  1853,  1982,  2460,  2627,  3246,  3253,  3268,  3536,
    3846,  3961,  4183,  4667,  6585,  6647,  7273,  9061,  9383,  10428, 10929, 11938, 12033, 12331,
    12562, 13793, 14157, 14635, 15265, 15618, 16553, 16604, 18362, 18956, 20075, 21675, 22520, 26130,
    26161, 26435, 28279, 29464, 31650, 32302, 32470, 36865, 42863, 47425, 49870, 50254};
const std::vector<int64_t> kEnglishNonSpeech = {
    1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,    31,    58,
    59,    60,    61,    62,    63,    90,    91,    92,    93,    357,   366,   438,   532,   685,
    705,   796,   930,   1058,  1220,  1267,  1279,  1303,  1343,  1377,  1391,  1635,  1782,  1875,
    2162,  2361,  2488,  3467,  4008,  4211,  4600,  4808,  5299,  5855,  6329,  7203,  9609,  9959,
    10563, 10786, 11420, 11709, 11907, 13163, 13697, 13700, 14808, 15306, 16410, 16791, 17992, 19203,
    19510, 20724, 22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283, 40493, 40549, 47282, 49146};

constexpr int64_t kSpecialIds = 1509;  // those that every vocabulary has: sot, eot, 6 controls, 1501 timestamps

}  // namespace

WhisperVocabulary::WhisperVocabulary(int64_t n_vocab, std::optional<BytePairTokenizer> tokenizer)
    : multilingual_(n_vocab >= 51865),
      languages_(n_vocab == 51866 ? 100 : 99),
      eot_(n_vocab - languages_ - kSpecialIds),
      tokenizer_(std::move(tokenizer)) {
  require(n_vocab >= 51864 && n_vocab <= 51866, "A Whisper vocabulary has 51864, 51865 or 51866 tokens, not ", n_vocab,
          ".");
  require(!tokenizer_ || (tokenizer_->id_of("<|endoftext|>") == eot_ && tokenizer_->id_of("\u0120") == kSpace),
          "The tokenizer does not belong to a Whisper model of ", n_vocab, " tokens: its <|endoftext|> should be ",
          eot_, ".");
}

std::string WhisperVocabulary::language_of(int64_t id) const {
  require(id >= language_begin() && id < language_begin() + languages_, "The token ", id, " is not a language.");
  return std::string(kLanguages[static_cast<size_t>(id - language_begin())]);
}

int64_t WhisperVocabulary::language_token(std::string_view language) const {
  const auto end = kLanguages.begin() + languages_;
  const auto found = std::find(kLanguages.begin(), end, language);
  require(found != end, "Whisper does not know the language \"", language,
          "\" (a code such as en, de, vi is expected).");
  return language_begin() + (found - kLanguages.begin());
}

std::vector<int64_t> WhisperVocabulary::sot_sequence(std::string_view language, std::string_view task,
                                                     bool timestamps) const {
  require(task == "transcribe" || task == "translate", "Whisper's task is transcribe or translate, not \"", task,
          "\".");
  std::vector<int64_t> out = {sot()};
  if (multilingual_) {
    out.push_back(language_token(language));
    out.push_back(task == "transcribe" ? transcribe() : translate());
  } else {
    require((language.empty() || language == "en") && task == "transcribe",
            "This Whisper model only transcribes English.");
  }
  if (!timestamps) out.push_back(no_timestamps());
  return out;
}

const std::vector<int64_t>& WhisperVocabulary::non_speech() const {
  return multilingual_ ? kMultilingualNonSpeech : kEnglishNonSpeech;
}

std::vector<int64_t> WhisperVocabulary::suppressed() const {
  std::vector<int64_t> out = non_speech();
  out.insert(out.end(), {sot(), translate(), transcribe(), sot_lm(), sot_prev(), no_speech()});
  return out;
}

std::string WhisperVocabulary::decode(const std::vector<int64_t>& ids) const {
  std::vector<int64_t> text;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(text), [&](int64_t id) { return is_text(id); });
  return tokenizer().decode(text);
}

std::vector<int64_t> WhisperVocabulary::encode(std::string_view text) const {
  return tokenizer().encode(text, false, false);
}

const BytePairTokenizer& WhisperVocabulary::tokenizer() const {
  require(tokenizer_.has_value(), "This Whisper model came without a tokenizer.json, so its tokens cannot be text.");
  return *tokenizer_;
}

}  // namespace ichigo
