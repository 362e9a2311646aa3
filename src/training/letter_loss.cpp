#include "training/letter_loss.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

#include "base/error.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

constexpr int64_t kApostrophe = 27, kSpace = 28, kOutputs = 29;  // 0 is the blank
constexpr const char* kWeight = "letter_loss.weight";
constexpr const char* kBias = "letter_loss.bias";

}  // namespace

std::vector<int64_t> letters_of(const std::string& text) {
  std::vector<int64_t> letters;
  bool space = false;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const int64_t letter = lower >= 'a' && lower <= 'z' ? lower - 'a' + 1 : lower == '\'' ? kApostrophe : 0;
    if (letter == 0) {
      space = space || c == ' ' || c == '-';
      continue;
    }
    if (space && !letters.empty()) letters.push_back(kSpace);
    space = false;
    letters.push_back(letter);
  }
  return letters;
}

LetterLoss::LetterLoss(int64_t width, at::TensorOptions options, uint64_t seed, const std::filesystem::path& start) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  weight_ = at::randn({kOutputs, width}, generator, at::kFloat).mul(0.02).to(options);
  bias_ = at::zeros({kOutputs}, options);
  if (start.empty()) return;
  const auto file = open_weights(start);
  for (auto& [name, parameter] : parameters()) {
    require(file->contains(name), start.string(), " has no tensor \"", name,
            "\"; expected a run's letter_loss.safetensors");
    const auto stored = file->load(name);
    require(stored.sizes() == parameter.sizes(), start.string(), ": ", name, " has the shape ", stored.sizes(),
            ", but this model needs ", parameter.sizes());
    parameter.copy_(stored);
  }
}

std::vector<std::pair<std::string, at::Tensor>> LetterLoss::parameters() const {
  return {{kWeight, weight_}, {kBias, bias_}};
}

void LetterLoss::save(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& masters) const {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, parameter] : parameters()) tensors.push_back({name, masters.at(name), {}});
  write_safetensors(path, tensors);
}

at::Tensor LetterLoss::loss(const at::Tensor& hidden, const std::vector<SpokenSpan>& spoken) const {
  std::vector<at::Tensor> spans;
  std::vector<int64_t> letters, lengths, letter_counts;
  for (const auto& span : spoken) {
    const auto said = letters_of(span.text);
    if (said.empty()) continue;
    spans.push_back(hidden.slice(0, span.begin, span.end));
    lengths.push_back(span.end - span.begin);
    letters.insert(letters.end(), said.begin(), said.end());
    letter_counts.push_back(static_cast<int64_t>(said.size()));
  }
  if (spans.empty()) return at::zeros({}, hidden.options().dtype(at::kFloat));
  const auto rows = at::cat(spans).to(at::kFloat);
  // The scale of a residual stream differs between layers and positions.
  const auto unit = rows * (rows.square().mean(-1, true) + 1e-5).rsqrt();
  const auto logits = at::linear(unit, weight_.to(at::kFloat), bias_.to(at::kFloat));
  const auto per_span = at::log_softmax(logits, -1).split_with_sizes(lengths);
  const auto padded = at::pad_sequence(per_span);  // [time, spans, outputs]
  return at::ctc_loss(padded, at::tensor(letters, at::kLong).to(padded.device()), lengths, letter_counts,
                      /*blank=*/0, at::Reduction::Sum, /*zero_infinity=*/true);
}

int64_t count_letters(const std::vector<SpokenSpan>& spoken) {
  int64_t count = 0;
  for (const auto& span : spoken) count += static_cast<int64_t>(letters_of(span.text).size());
  return count;
}

}  // namespace ichigo
