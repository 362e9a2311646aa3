// Chat prompts: Llama 3 and ChatML, and their system prompts.
#pragma once
#include <string>
#include <vector>

namespace ichigo {

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

enum class ChatTemplate { kChatMl, kLlama3 };

// By its source (tokenizer_config.json's "chat_template", chat_template.jinja or GGUF): recognised by its markers.
// Throws Error when it is neither.
ChatTemplate recognize_chat_template(const std::string& jinja);
std::string chat_template_name(ChatTemplate chat_template);  // "chatml", "llama3"
ChatTemplate parse_chat_template(const std::string& name);

// The prompt text with the template's special tokens spelled out. With `generation_header` it ends with the
// assistant's header. Llama 3 begins with <|begin_of_text|>. ChatML adds no system prompt of its own.
std::string render_chat(ChatTemplate chat_template, const std::vector<Message>& messages, bool generation_header);

}  // namespace ichigo
