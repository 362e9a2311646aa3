// ichigo chat
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_chat_command(CLI::App& app);

}  // namespace ichigo
