// ichigo evaluate
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_evaluate_command(CLI::App& app);

}  // namespace ichigo
