// ichigo talk
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_talk_command(CLI::App& app);

}  // namespace ichigo
