// What several commands share: where the model is, and options that mean the same everywhere.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "assistant/cascade.h"
#include "assistant/conversation.h"

namespace CLI {
class App;
}

namespace ichigo {

// No option that counts steps, rows or attempts goes further. (CLI11's own checks name limits of 300 digits.)
constexpr int64_t kMostItems = int64_t{1} << 40;

void add_threads_option(CLI::App& command, int& threads);
// What the decoder's weights are computed with (PackedTypes::parse).
void add_dtype_option(CLI::App& command, std::string& dtype);
// The greatest length of a recording.
void add_max_seconds_option(CLI::App& command, double& seconds);
// --temperature, --top-k, --top-p, --repetition-penalty, --seed, --max-tokens.
void add_generation_options(CLI::App& command, ConversationConfig& config);

// The folder of the model: `named` where it is not empty ("base:NAME" as in recipes), else $ICHIGO_MODEL, else
// models/mini in the usual places. Throws Error that says what to do when there is none.
std::filesystem::path find_model(const std::string& named);

// Where a file or folder of the repository (models/mini, samples...) may be: in the current folder, in the repository
// that the program was built in, or installed beside it.
std::vector<std::filesystem::path> usual_places(const std::filesystem::path& name);

// --tokenizer and --whisper, for a model that has no ichigo.json beside it.
void add_ear_options(CLI::App& command, EarFiles& ear);
// The ear that was named, or the one beside the model. Throws Error when there is neither.
EarFiles ear_of(const std::filesystem::path& model, const EarFiles& named);
// A language model without ear whose weights are computed with as PackedTypes::parse says. Throws Error.
FusedModel load_text_model(const std::filesystem::path& model, const std::string& dtype = "auto");
// A model that hears. Throws Error.
FusedModel load_hearing_model(const std::filesystem::path& model, const EarFiles& named,
                              const std::string& dtype = "auto");
// What a plain language model computes in unless asked.
constexpr const char* kTextDtype = "float32";
// SmolLM2 behind Whisper tiny.en, or behind it the language model in `model` ("": SmolLM2); "auto" is kTextDtype.
Cascade load_cascade(const std::string& model, const std::string& dtype, ConversationConfig config);
Recogniser load_whisper_base();

}  // namespace ichigo
