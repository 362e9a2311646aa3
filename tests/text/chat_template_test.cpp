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
  EXPECT_EQ(chat_template, ChatTemplate{ChatFormat::kLlama3});
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

// Expectations: transformers' apply_chat_template with the published templates of SmolLM2, Qwen2.5, Llama 3.1 and 3.2,
// of which these sources have what counts.
TEST(ChatTemplate, DefaultSystemMessages) {
  const auto smollm2 = recognize_chat_template(
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
      "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}");
  EXPECT_EQ(render_chat(smollm2, {{"user", "Hi"}}, true),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render_chat(smollm2, {{"system", "Be brief."}, {"user", "Hi"}}, false),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
  const auto qwen = recognize_chat_template(
      "{{- '<|im_start|>system\\n' }}{{- messages[0]['content'] }}{{- '<|im_start|>system\\n' + messages[0]['content'] "
      "+ '<|im_end|>\\n' }}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
      "assistant.<|im_end|>\\n' }}");
  EXPECT_EQ(qwen.default_system, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
  EXPECT_EQ(qwen.system_message("").has_value(), false);
  const auto math = recognize_chat_template(
      "{{- '<|im_start|>system\\nPlease reason step by step, and put your \"final\" answer within "
      "\\\\boxed{}.<|im_end|>\\n' }}");
  EXPECT_EQ(math.default_system, "Please reason step by step, and put your \"final\" answer within \\boxed{}.");
  const auto plain = recognize_chat_template("{% if first %}<|im_start|>system\nIt's me.<|im_end|>\n{% endif %}");
  EXPECT_EQ(plain.default_system, "It's me.");
  const auto none = recognize_chat_template("{{'<|im_end|>\n<|im_start|>system\n' + message + '<|im_end|>\n'}}");
  EXPECT_EQ(none.default_system, "");
}

TEST(ChatTemplate, LlamasKnowledgeDates) {
  auto llama = recognize_chat_template(
      "{%- set date_string = \"26 Jul 2024\" %}{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}"
      "{{- \"Cutting Knowledge Date: December 2023\\n\" }}{{- \"Today Date: \" + date_string + \"\\n\\n\" }}");
  const std::string dates =
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
      "Today Date: 26 Jul 2024\n\n";
  EXPECT_EQ(render_chat(llama, {{"user", " Hi "}}, false),
            dates + "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>");
  EXPECT_EQ(render_chat(llama, {{"system", " Be brief. "}, {"user", "Hi"}}, true),
            dates +
                "Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n");
  llama =
      recognize_chat_template("<|start_header_id|> Cutting Knowledge Date: December 2023 strftime_now(\"%d %b %Y\")");
  EXPECT_EQ(llama.today.size(), 11U);
  EXPECT_NE(llama.today, "26 Jul 2024");
}

TEST(ChatTemplate, PlainSourcesAreRecognisedAsPlain) {
  for (const ChatFormat format : {ChatFormat::kChatMl, ChatFormat::kLlama3}) {
    EXPECT_EQ(recognize_chat_template(plain_chat_template(format)), ChatTemplate{format});
  }
}

TEST(ChatTemplate, NamesWhatItDoesNotKnow) {
  EXPECT_THROW(recognize_chat_template("[INST] {{ message }} [/INST]"), Error);
  EXPECT_THROW(recognize_chat_template("<|im_start|>user<|im_sep|>"), Error);
  EXPECT_THROW(recognize_chat_template("{{ bos_token }}{{ '<|im_start|>' + message['role'] }}"), Error);
  EXPECT_THROW(recognize_chat_template("{{ '<|im_start|>system\\nYou are ' + name + '.<|im_end|>\\n' }}"), Error);
  std::string headers;
  for (int i = 0; i < 40; ++i) headers += "<|im_start|>system";
  EXPECT_THROW(recognize_chat_template(headers), Error);  // each is looked for in all that is around it
  EXPECT_THROW(recognize_chat_template("<|start_header_id|>Cutting Knowledge Date: May 2031"), Error);
}

}  // namespace
}  // namespace ichigo
