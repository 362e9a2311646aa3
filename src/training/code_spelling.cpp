#include "training/code_spelling.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <map>

#include "base/error.h"
#include "models/sound_tokenizer.h"
#include "training/ctc_head.h"

namespace ichigo {
namespace {

// English letters for the phones of data/phoneme_set.h.
const std::map<std::string, const char*> kSpellings = {
    {"aɪ", "ai"}, {"aʊ", "ow"}, {"b", "b"},   {"d", "d"},  {"dʒ", "j"},  {"eɪ", "ay"}, {"f", "f"},   {"h", "h"},
    {"i", "ee"},  {"j", "y"},   {"k", "k"},   {"l", "l"},  {"m", "m"},   {"n", "n"},   {"oʊ", "oh"}, {"p", "p"},
    {"s", "s"},   {"t", "t"},   {"tʃ", "ch"}, {"u", "oo"}, {"v", "v"},   {"w", "w"},   {"z", "z"},   {"æ", "a"},
    {"ð", "th"},  {"ŋ", "ng"},  {"ɑ", "ah"},  {"ɔ", "aw"}, {"ɔɪ", "oy"}, {"ə", "uh"},  {"ɛ", "e"},   {"ɜ", "er"},
    {"ɡ", "g"},   {"ɪ", "i"},   {"ɹ", "r"},   {"ʃ", "sh"}, {"ʊ", "ou"},  {"ʌ", "u"},   {"ʒ", "zh"},  {"θ", "th"}};

at::Tensor phones_of_codes(const TrainedSoundTokenizer& ear) {
  constexpr int64_t kRepeats = 9;  // the code alone, held for a third of a second
  const at::NoGradGuard no_gradient;
  const auto codes = at::arange(ear.bottleneck->config().codes).unsqueeze(1).expand({-1, kRepeats});
  const auto logits = ear.head->forward(ear.bottleneck->embed(codes), at::ones(codes.sizes()));
  const auto heard = at::softmax(logits, -1).slice(2, 1);  // without the blank
  const auto total = heard.sum(1);
  const auto voiced = std::get<0>(heard.sum(2).max(1)).unsqueeze(1);
  return total / total.sum(1, true).clamp_min(1e-9) * voiced;
}

}  // namespace

at::Tensor phones_of_codes(const std::filesystem::path& tokenizer) {
  return phones_of_codes(load_trained_sound_tokenizer(tokenizer));
}

at::Tensor spelled_codes(const std::filesystem::path& tokenizer, const BytePairTokenizer& vocabulary,
                         const at::Tensor& embedding, uint64_t seed) {
  constexpr double kOwnPart = 0.3;  // of the code's own vector, relative to its phones' letters
  const at::NoGradGuard no_gradient;
  const auto ear = load_trained_sound_tokenizer(tokenizer);
  const auto mean = embedding.mean(0);
  std::vector<at::Tensor> spellings;
  for (int64_t id = 1; id < ear.phonemes.size(); ++id) {
    const auto& phone = ear.phonemes.phone(id);
    const auto found = kSpellings.find(phone);
    require(found != kSpellings.end(), tokenizer.string(), ": no English letters are known for its phone \"", phone,
            "\"; leave \"spelling\" out of the recipe");
    const auto letters = vocabulary.encode(found->second);
    spellings.push_back(embedding.index_select(0, at::tensor(letters, at::kLong)).mean(0) - mean);
  }
  const auto letters = at::mm(phones_of_codes(ear), at::stack(spellings));
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto codebook = ear.bottleneck->codebook().narrow(0, 0, letters.size(0));
  const auto own = at::mm(codebook, at::randn({codebook.size(1), embedding.size(1)}, generator, at::kFloat));
  const auto unit = [](const at::Tensor& rows) { return rows / rows.norm(2, -1, true).clamp_min(1e-9); };
  const auto distance = (embedding - mean).norm(2, -1).mean();
  return mean + unit(letters / letters.norm(2, -1).max() + kOwnPart * unit(own)) * distance;
}

}  // namespace ichigo
