// How well the phones of speech can be read off its sound codes: the measure of a sound tokenizer.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

namespace ichigo {

struct SoundTokenizerScore {
  double phone_error_rate = 0;     // edits per phone of the reference, 0.25 = 25 %
  double codebook_perplexity = 0;  // exp(entropy) of the codes used; 0 when the head reads unquantised projections
  int64_t phones = 0, clips = 0, codes_used = 0;
};

// The fewest insertions, deletions and substitutions that turn one sequence into the other.
int64_t edit_distance(std::span<const int64_t> from, std::span<const int64_t> to);

// `features` as FeatureFile (no ending); `tokenizer`: a folder that `ichigo train` wrote (sound_tokenizer.safetensors,
// ctc_head.safetensors, ctc_head.json; with whisper.safetensors, its own encoder, features are log mel power). Greedy
// CTC on each clip by itself. Throws Error.
SoundTokenizerScore evaluate_sound_tokenizer(const std::filesystem::path& features,
                                             const std::filesystem::path& tokenizer);

}  // namespace ichigo
