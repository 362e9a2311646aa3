#include "cli/chat.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/device.h"
#include "cli/options.h"
#include "weights/base_weights.h"

namespace ichigo {
namespace {

struct Arguments {
  std::string text, model, dtype = kTextDtype;
  std::optional<std::string> system;
  int threads = 0;
  ConversationConfig config;
};

void chat(const Arguments& arguments) {
  ConversationConfig config = arguments.config;
  const bool base = arguments.model.empty();
  config.system_prompt = arguments.system;
  set_threads(arguments.threads);
  Conversation conversation(
      load_text_model(base ? require_base("smollm2-135m-instruct") : resolve_base(arguments.model), arguments.dtype),
      config);
  const Reply reply = conversation.ask(arguments.text, [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  });
  std::printf("%s\n", reply.cut_off ? " ..." : "");
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("chat", "Answer typed text");
  command->add_option("text", arguments->text, "What you say")->required();
  command->add_option("--model", arguments->model,
                      "Folder of a model, or a GGUF file (default: SmolLM2-135M-Instruct, brought by: fetch base)");
  command->add_option("--system", arguments->system, "System prompt (default: what the model's own template says)");
  add_dtype_option(*command, arguments->dtype);
  add_threads_option(*command, arguments->threads);
  add_generation_options(*command, arguments->config);
  command->callback([arguments] { chat(*arguments); });
}

}  // namespace ichigo
