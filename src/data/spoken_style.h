// Whether a text can be said aloud by a voice assistant as it stands: short, plain sentences. What instruction text
// made by a language model has to be before it is spoken and learnt.
#pragma once
#include <string>

namespace ichigo {

struct SpokenStyle {
  std::string text;     // on one line, in ASCII, whole numbers to 100 spelled out; empty when refused
  std::string refused;  // why in a word or two ("list or code", "too long"...); empty when it can be said
};

// At most two sentences and 30 words; no markup, lists, code, other numbers or foreign letters; no three words said
// twice; not cut off; no refusal ("as an AI", "I cannot").
SpokenStyle spoken_style(const std::string& text);

}  // namespace ichigo
