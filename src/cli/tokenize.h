// ichigo tokenize
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_tokenize_command(CLI::App& app);

}  // namespace ichigo
