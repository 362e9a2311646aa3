// The two templates, written out instead of interpreted: published Jinja sources are only recognised.
#include "text/chat_template.h"

#include <string_view>

#include "base/error.h"

namespace ichigo {
namespace {

// What Jinja's trim filter strips, for ASCII.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

ChatTemplate recognize_chat_template(const std::string& jinja) {
  if (jinja.find("<|im_start|>") != std::string::npos) return ChatTemplate::kChatMl;
  if (jinja.find("<|start_header_id|>") != std::string::npos) return ChatTemplate::kLlama3;
  fail("The chat template is neither ChatML (<|im_start|>) nor Llama 3 (<|start_header_id|>).");
}

std::string chat_template_name(ChatTemplate chat_template) {
  return chat_template == ChatTemplate::kChatMl ? "chatml" : "llama3";
}

ChatTemplate parse_chat_template(const std::string& name) {
  for (const ChatTemplate known : {ChatTemplate::kChatMl, ChatTemplate::kLlama3}) {
    if (chat_template_name(known) == name) return known;
  }
  fail("The chat template \"", name, "\" is not known (known: chatml, llama3).");
}

std::string render_chat(ChatTemplate chat_template, const std::vector<Message>& messages, bool generation_header) {
  const bool llama3 = chat_template == ChatTemplate::kLlama3;
  std::string out;
  if (llama3 && !messages.empty()) out = "<|begin_of_text|>";
  const auto header = [&](const std::string& role) {
    out += llama3 ? "<|start_header_id|>" + role + "<|end_header_id|>\n\n" : "<|im_start|>" + role + "\n";
  };
  for (const Message& message : messages) {
    header(message.role);
    out += llama3 ? trimmed(message.content) : std::string_view(message.content);
    out += llama3 ? "<|eot_id|>" : "<|im_end|>\n";
  }
  if (generation_header) header("assistant");
  return out;
}

}  // namespace ichigo
