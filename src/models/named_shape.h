// Shapes of published models by name, for figures that need no weights.
#pragma once
#include <string>

#include "models/llama.h"

namespace ichigo {

// The configuration of "smollm2-135m", "llama-3.2-1b" or "llama-3.1-8b", with at most 8192 positions. Throws Error that
// lists them for another name.
LlamaConfig named_shape(const std::string& name);

}  // namespace ichigo
