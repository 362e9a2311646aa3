#include "training/whisper_objective.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/whisper.h"
#include "text/byte_pair.h"
#include "text/whisper_vocabulary.h"

namespace ichigo {

struct WhisperObjective::Impl {
  explicit Impl(const std::filesystem::path& path)
      : whisper(load_whisper(path)),
        vocabulary(whisper.config.n_vocab, BytePairTokenizer::from_file(path / "tokenizer.json")) {
    require(whisper.decoder != nullptr, path.string(), " holds no Whisper decoder, which reads the codes");
  }
  Whisper whisper;
  WhisperVocabulary vocabulary;
};

WhisperObjective::WhisperObjective(const std::filesystem::path& whisper) : impl_(std::make_unique<Impl>(whisper)) {}
WhisperObjective::~WhisperObjective() = default;

WhisperLosses WhisperObjective::losses(const ClipBatch& batch, const at::Tensor& features, bool cross_entropy,
                                       bool kl) const {
  auto& decoder = *impl_->whisper.decoder;
  const auto& vocabulary = impl_->vocabulary;
  const auto start = vocabulary.sot_sequence("en", "transcribe", /*timestamps=*/false);
  at::Tensor cross_entropies = at::zeros({}), divergences = at::zeros({});
  int64_t count = 0;
  for (size_t i = 0; i < batch.clips.size(); ++i) {
    const Clip& clip = *batch.clips[i];
    auto tokens = start;
    const auto text = vocabulary.encode(" " + clip.source->text);
    tokens.insert(tokens.end(), text.begin(), text.end());
    if (static_cast<int64_t>(tokens.size()) > impl_->whisper.config.n_text_ctx) continue;
    auto targets = text;
    targets.push_back(vocabulary.eot());
    const auto ids = at::tensor(tokens, at::kLong).unsqueeze(0);
    const auto wanted = static_cast<int64_t>(targets.size());
    // The logits at the last token before the text and behind each of the text's tokens.
    const auto read = [&](const at::Tensor& heard) {
      const auto hidden = decoder.hidden(ids, heard)[0];
      return at::log_softmax(decoder.logits(hidden.narrow(0, hidden.size(0) - wanted, wanted)), -1);
    };
    const auto student = read(features.narrow(0, static_cast<int64_t>(i), 1));
    if (cross_entropy) {
      cross_entropies = cross_entropies - student.gather(1, at::tensor(targets, at::kLong).unsqueeze(1)).sum();
    }
    if (kl) {
      const at::NoGradGuard no_gradient;
      const auto teacher = read(clip.file->features(*clip.source).to(at::kFloat).unsqueeze(0));
      const at::AutoGradMode with_gradient(true);
      divergences = divergences + at::kl_div(student, teacher, at::Reduction::Sum, /*log_target=*/true);
    }
    count += wanted;
  }
  const double scale = 1.0 / static_cast<double>(std::max<int64_t>(1, count));
  return {cross_entropies * scale, divergences * scale};
}

}  // namespace ichigo
