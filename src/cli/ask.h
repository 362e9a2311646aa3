// ichigo ask
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_ask_command(CLI::App& app);

}  // namespace ichigo
