#include "assistant/cascade.h"

#include "base/error.h"

namespace ichigo {

const char* const kSpokenSystemPrompt = "You are a helpful AI assistant. Answer with one short sentence.";

std::string Recogniser::transcribe(std::span<const float> samples, WhisperTiming* timing) const {
  return whisper_transcribe(whisper, vocabulary, samples, {.language = ""}, timing);
}

Recogniser load_recogniser(const std::filesystem::path& folder) {
  require(std::filesystem::exists(folder), folder.string(), " does not exist");
  const auto tokenizer = folder / "tokenizer.json";
  require(std::filesystem::exists(tokenizer), folder.string(), " is not a Whisper folder: it has no tokenizer.json");
  Whisper whisper = load_whisper(folder);
  require(whisper.decoder != nullptr, folder.string(), " holds only Whisper's encoder: it can hear, but not write");
  const int64_t size = whisper.config.n_vocab;
  return {std::move(whisper), WhisperVocabulary(size, BytePairTokenizer::from_file(tokenizer))};
}

Cascade::Cascade(Recogniser recogniser, FusedModel model, ConversationConfig config)
    : recogniser_(std::move(recogniser)), conversation_(std::move(model), std::move(config)) {}

void Cascade::reset() {
  conversation_.reset();
  heard_.clear();
}

Reply Cascade::hear(std::span<const float> samples, const std::string& text, const TextSink& sink) {
  WhisperTiming spent;
  std::string heard = recogniser_.transcribe(samples, &spent);
  Reply reply;
  if (heard.empty()) {
    reply.text = "Sorry, I could not hear you.";
    if (sink) sink(reply.text);
  } else {
    reply = conversation_.ask(text.empty() ? heard : text + " " + heard, sink);
  }
  heard_ = std::move(heard);
  reply.timing.mel = spent.mel;
  reply.timing.encode = spent.encode;
  reply.timing.recognise = spent.decode;
  return reply;
}

}  // namespace ichigo
