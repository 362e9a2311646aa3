// Where the embeddings of sound tokens begin: at the letters that spell what each code sounds like. A language model
// that has read of "sh" and "oo" then finds speech half spelled, and learns to listen from far fewer hours than from
// random rows (measured: docs/architecture.md).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>

#include "text/byte_pair.h"

namespace ichigo {

// [codes, phones] float32: how strongly each code alone is heard as each phone, from the CTC head that was trained with
// the codes. A row sums to 1 or less; silence is near 0. `tokenizer`: a folder that `ichigo train` of a sound tokenizer
// has written. Throws Error naming what is missing there.
at::Tensor phones_of_codes(const std::filesystem::path& tokenizer);

// [codes, width] float32: for each code the embeddings of its phones' spellings, mixed as phones_of_codes says, plus a
// part of a random projection of the code's vector that keeps codes of one phone apart; as far from `embedding`'s mean
// row as its rows are. embedding [vocabulary, width] float32.
at::Tensor spelled_codes(const std::filesystem::path& tokenizer, const BytePairTokenizer& vocabulary,
                         const at::Tensor& embedding, uint64_t seed);

}  // namespace ichigo
