// Chat prompts: ChatML and Llama 3's headers, and what published templates add to them.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace ichigo {

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

enum class ChatFormat { kChatMl, kLlama3 };

// What a template comes to for messages of plain text.
struct ChatTemplate {
  ChatFormat format = ChatFormat::kChatMl;
  std::string default_system;  // said where no system message is given (SmolLM2, Qwen2.5); empty: nothing
  // Llama 3.1 and later: the system message, given or not, begins with the knowledge's last month and this day; empty:
  // it does not.
  std::string today;

  // The content of the system message for a given one; nothing: there is none. An empty one that is given suppresses
  // the default.
  std::optional<std::string> system_message(const std::optional<std::string>& given) const;
  bool operator==(const ChatTemplate&) const = default;
};

// By its Jinja source (tokenizer_config.json's "chat_template", chat_template.jinja or GGUF), which is recognised by
// its markers, not run: the templates of Llama 3 to 3.3, SmolLM2, Qwen2 and Qwen2.5, and plain ChatML. Throws Error
// naming what it does not know.
ChatTemplate recognize_chat_template(const std::string& jinja);
// The source of a template without additions.
std::string plain_chat_template(ChatFormat format);

// What opens a message of this role.
std::string chat_header(ChatFormat format, const std::string& role);
// The prompt text with the template's special tokens spelled out. With `generation_header` it ends with the
// assistant's header. Llama 3 begins with <|begin_of_text|>.
std::string render_chat(const ChatTemplate& chat_template, std::vector<Message> messages, bool generation_header);

}  // namespace ichigo
