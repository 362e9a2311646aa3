#include "text/chat_template.h"

#include <ctime>
#include <string_view>

#include "base/error.h"
#include "text/trim.h"

namespace ichigo {
namespace {

// "26 Jul 2024", as strftime's "%d %b %Y" in English.
std::string day_text(std::time_t time) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm day{};
  localtime_r(&time, &day);
  char text[32];
  std::snprintf(text, sizeof text, "%02d %s %d", day.tm_mday, kMonths[day.tm_mon], 1900 + day.tm_year);
  return text;
}

// What a Jinja string says that begins here and ends at `quote`; without one the text itself, to the next tag.
std::string literal(std::string_view jinja, char quote) {
  if (quote == 0) return std::string(jinja.substr(0, jinja.find_first_of("{}")));
  std::string text;
  for (size_t i = 0; i < jinja.size() && jinja[i] != quote; ++i) {
    if (jinja[i] != '\\' || i + 1 == jinja.size()) {
      text += jinja[i];
      continue;
    }
    const char escaped = jinja[++i];
    text += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
  }
  return text;
}

// The words between <|im_start|>system and <|im_end|> where a template spells them out; empty: it does not. Throws
// Error where they are not one piece.
std::string spelled_system_message(const std::string& jinja) {
  constexpr std::string_view kHeader = "<|im_start|>system";
  constexpr int kMostHeaders = 32;  // for each the text around it is searched
  bool parts = false;
  int headers = 0;
  for (size_t at = jinja.find(kHeader); at != std::string::npos; at = jinja.find(kHeader, at + 1)) {
    require(++headers <= kMostHeaders, "The chat template has ", kHeader, " more than ", kMostHeaders, " times.");
    const auto rest = std::string_view(jinja).substr(at + kHeader.size());
    const size_t quote = jinja.find_last_of("'\"", at);
    // Outside of a string a newline is no escape.
    const bool quoted = quote != std::string::npos && (quote + 1 == at || rest.starts_with("\\n"));
    const std::string text = literal(rest, quoted ? jinja[quote] : '\0');
    if (!text.starts_with("\n") || text.starts_with("\n'") || text.starts_with("\n\"")) continue;
    const size_t end = text.find("<|im_end|>");
    if (end != std::string::npos) return text.substr(1, end - 1);
    parts = parts || text.size() > 1;
  }
  require(!parts, "The chat template puts its default system message together from parts, which is not supported: ",
          "it must be spelled out between <|im_start|>system and <|im_end|>.");
  return "";
}

}  // namespace

std::optional<std::string> ChatTemplate::system_message(const std::optional<std::string>& given) const {
  std::string text = given.value_or(default_system);
  if (format == ChatFormat::kLlama3) text = trimmed(text);
  if (!today.empty()) return "Cutting Knowledge Date: December 2023\nToday Date: " + today + "\n\n" + text;
  if (text.empty()) return std::nullopt;
  return text;
}

ChatTemplate recognize_chat_template(const std::string& jinja) {
  const auto has = [&](std::string_view marker) { return jinja.find(marker) != std::string::npos; };
  ChatTemplate result;
  if (has("<|im_start|>")) {
    require(!has("<|im_sep|>"), "The chat template has <|im_sep|>, which is not supported (known: ChatML, Llama 3).");
    require(!has("bos_token"), "The chat template is ChatML behind a bos_token, which is not supported.");
    result.default_system = spelled_system_message(jinja);
    return result;
  }
  require(has("<|start_header_id|>"),
          "The chat template is neither ChatML (<|im_start|>) nor Llama 3 (<|start_header_id|>).");
  result.format = ChatFormat::kLlama3;
  if (has("Cutting Knowledge Date")) {
    require(has("Cutting Knowledge Date: December 2023"),
            "The chat template has another \"Cutting Knowledge Date\" than December 2023, which is not supported.");
    result.today = has("strftime_now") ? day_text(std::time(nullptr)) : "26 Jul 2024";
  }
  return result;
}

std::string plain_chat_template(ChatFormat format) {
  if (format == ChatFormat::kLlama3) {
    return "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{{ '<|start_header_id|>' + "
           "message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
           "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
  }
  return "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
         "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
}

std::string chat_header(ChatFormat format, const std::string& role) {
  return format == ChatFormat::kLlama3 ? "<|start_header_id|>" + role + "<|end_header_id|>\n\n"
                                       : "<|im_start|>" + role + "\n";
}

std::string render_chat(const ChatTemplate& chat_template, std::vector<Message> messages, bool generation_header) {
  const bool llama3 = chat_template.format == ChatFormat::kLlama3;
  std::optional<std::string> given;
  if (!messages.empty() && messages.front().role == "system") {
    given = messages.front().content;
    messages.erase(messages.begin());
  }
  const auto system = chat_template.system_message(given);
  const std::string_view end = llama3 ? "<|eot_id|>" : "<|im_end|>\n";
  std::string out;
  if (llama3 && (system || !messages.empty())) out = "<|begin_of_text|>";
  if (system) out.append(chat_header(chat_template.format, "system")).append(*system).append(end);
  for (const Message& message : messages) {
    out += chat_header(chat_template.format, message.role);
    out.append(llama3 ? trimmed(message.content) : std::string_view(message.content)).append(end);
  }
  if (generation_header) out += chat_header(chat_template.format, "assistant");
  return out;
}

}  // namespace ichigo
