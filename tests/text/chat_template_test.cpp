// Against what Jinja renders from the published Llama 3 template (golden/tokenizer/chats.json).
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "text/byte_pair.h"

namespace ichigo {
namespace {

TEST(ChatTemplate, Llama3Golden) {
  ICHIGO_GOLDEN_OR_SKIP(folder, "tokenizer");
  const auto tokenizer = BytePairTokenizer::from_file(folder / "tokenizer.json");
  const ChatTemplate chat_template = recognize_chat_template(read_file(folder / "chat_template.jinja"));
  EXPECT_EQ(chat_template, ChatTemplate::kLlama3);
  int count = 0;
  for (const auto& row : nlohmann::json::parse(read_file(folder / "chats.json"))) {
    std::vector<Message> messages;
    for (const auto& message : row["messages"]) messages.push_back({message["role"], message["content"]});
    EXPECT_EQ(render_chat(chat_template, messages, false), row["text"].get<std::string>());
    const std::string prompt = render_chat(chat_template, messages, true);
    EXPECT_EQ(prompt, row["text_generation"].get<std::string>());
    EXPECT_EQ(tokenizer.encode(prompt), row["ids_generation"].get<std::vector<int64_t>>());
    ++count;
  }
  EXPECT_EQ(count, 3);
}

TEST(ChatTemplate, ChatMl) {
  const auto chat_template = recognize_chat_template("{{ '<|im_start|>' + message['role'] }}");
  EXPECT_EQ(render_chat(chat_template, {{"system", "Be kind. "}, {"user", "Hi"}}, true),
            "<|im_start|>system\nBe kind. <|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render_chat(chat_template, {{"user", "Hi"}}, false), "<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, Names) {
  EXPECT_EQ(parse_chat_template("chatml"), ChatTemplate::kChatMl);
  EXPECT_EQ(parse_chat_template(chat_template_name(ChatTemplate::kLlama3)), ChatTemplate::kLlama3);
  EXPECT_THROW(parse_chat_template("vicuna"), Error);
  EXPECT_THROW(recognize_chat_template("[INST] {{ message }} [/INST]"), Error);
}

}  // namespace
}  // namespace ichigo
