// Turns as token ids, speech and text alike: the one place that knows how a conversation looks to the decoder, used
// by training and by the assistant.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/byte_pair.h"
#include "text/chat_template.h"
#include "text/sound_vocabulary.h"

namespace ichigo {

// What the user says in one turn: text, speech, or a text prompt directly followed by speech.
struct UserTurn {
  std::string text;
  std::vector<int> sound;  // codes, or below 0 the vectors that stand in their place (vector_id)
};

class ChatPrompt {
 public:
  ChatPrompt(const BytePairTokenizer& tokenizer, ChatTemplate chat_template);

  // Ids that open a conversation: BOS where the template has one, and its system message for the given one (see
  // ChatTemplate::system_message).
  std::vector<int64_t> opening(const std::optional<std::string>& system_prompt) const;
  // A whole user turn and the assistant's header: the model answers next. `text` is plain: special tokens spelled in
  // it stay text. Throws Error when there is speech but the vocabulary has no sound tokens.
  std::vector<int64_t> user(const UserTurn& turn) const;
  // What stands before the words of a user turn: a model that goes on from it writes what a user would say.
  std::vector<int64_t> user_header() const { return user_header_; }
  // How the turn of speech begins that starts with these codes and still goes on. Where the vocabulary has durations,
  // the last run of equal codes may yet become a longer one.
  std::vector<int64_t> unfinished_user(std::span<const int> sound) const;
  // The assistant's words and the token that ends its turn.
  std::vector<int64_t> answer(const std::string& text) const;
  // A text that is no turn of a conversation.
  std::vector<int64_t> running_text(const std::string& text) const;
  // Between the end of an answer and the next user turn.
  std::vector<int64_t> separator() const { return separator_; }
  int64_t end_of_turn() const { return end_of_turn_; }

 private:
  const BytePairTokenizer& tokenizer_;
  ChatTemplate chat_template_;
  std::vector<int64_t> bos_, user_header_, turn_to_assistant_, separator_;
  int64_t end_of_turn_;
};

// The prompts that ask for a transcription, directly before the speech (Ichigo, reference implementation's list).
const std::vector<std::string>& transcription_prompts();

}  // namespace ichigo
