#include "assistant/cascade.h"

namespace ichigo {

const char* const kSpokenSystemPrompt = "You are a helpful AI assistant. Answer with one short sentence.";

Cascade::Cascade(Recogniser recogniser, FusedModel model, ConversationConfig config)
    : recogniser_(std::move(recogniser)), conversation_(std::move(model), std::move(config)) {}

void Cascade::reset() {
  conversation_.reset();
  heard_.clear();
}

Reply Cascade::hear(std::span<const float> samples, const std::string& text, const TextSink& sink) {
  TranscriptionTiming spent;
  std::string heard = recogniser_.transcribe(samples, {.leave_out_silence = true}, &spent).text;
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
