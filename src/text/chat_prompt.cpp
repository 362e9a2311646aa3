#include "text/chat_prompt.h"

#include "base/error.h"
#include "text/trim.h"

namespace ichigo {
namespace {

void append(std::vector<int64_t>& to, const std::vector<int64_t>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

ChatPrompt::ChatPrompt(const BytePairTokenizer& tokenizer, ChatTemplate chat_template)
    : tokenizer_(tokenizer), chat_template_(std::move(chat_template)) {
  const bool llama3 = chat_template_.format == ChatFormat::kLlama3;
  user_header_ = tokenizer.encode(chat_header(chat_template_.format, "user"));
  if (llama3) {
    bos_ = tokenizer.encode("<|begin_of_text|>");
    turn_to_assistant_ = tokenizer.encode("<|eot_id|>" + chat_header(chat_template_.format, "assistant"));
    end_of_turn_ = tokenizer.id_of("<|eot_id|>");
  } else {
    turn_to_assistant_ = tokenizer.encode("<|im_end|>\n" + chat_header(chat_template_.format, "assistant"));
    separator_ = tokenizer.encode("\n");
    end_of_turn_ = tokenizer.id_of("<|im_end|>");
  }
  require(end_of_turn_ >= 0, "the vocabulary lacks the ", llama3 ? "Llama 3" : "ChatML",
          " template's end-of-turn token: model and chat template do not belong together");
}

std::vector<int64_t> ChatPrompt::opening(const std::optional<std::string>& system_prompt) const {
  std::vector<int64_t> ids = bos_;
  if (const auto system = chat_template_.system_message(system_prompt)) {
    append(ids, tokenizer_.encode(chat_header(chat_template_.format, "system")));
    append(ids, tokenizer_.encode(*system, false, false));
    ids.push_back(end_of_turn_);
    append(ids, separator_);
  }
  return ids;
}

std::vector<int64_t> ChatPrompt::user(const UserTurn& turn) const {
  std::vector<int64_t> ids = user_header_;
  // Llama 3's template strips a message; before speech nothing is at its end.
  const bool strip = chat_template_.format == ChatFormat::kLlama3 && turn.sound.empty();
  append(ids, tokenizer_.encode(strip ? trimmed(turn.text) : std::string_view(turn.text), false, false));
  if (!turn.sound.empty()) append(ids, SoundVocabulary(tokenizer_).ids(turn.sound));
  append(ids, turn_to_assistant_);
  return ids;
}

std::vector<int64_t> ChatPrompt::unfinished_user(std::span<const int> sound) const {
  std::vector<int64_t> ids = user_header_;
  append(ids, SoundVocabulary(tokenizer_).ids(sound));
  ids.pop_back();  // the end of the sound
  return ids;
}

std::vector<int64_t> ChatPrompt::answer(const std::string& text) const {
  std::vector<int64_t> ids = tokenizer_.encode(text, false, false);
  ids.push_back(end_of_turn_);
  return ids;
}

std::vector<int64_t> ChatPrompt::running_text(const std::string& text) const {
  return tokenizer_.encode(text, false, false);
}

const std::vector<std::string>& transcription_prompts() {
  static const std::vector<std::string> prompts = {"Transcribe the following audio clip:",
                                                   "Convert the spoken words to text:",
                                                   "What is being said in this audio clip:",
                                                   "Transcribe the speech in this audio sample:",
                                                   "Please write down what is being said in the audio clip:",
                                                   "Generate a transcript from this sound file:",
                                                   "Recognize the speech in this audio clip:",
                                                   "Produce a text version of this audio recording:"};
  return prompts;
}

}  // namespace ichigo
