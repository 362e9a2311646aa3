// ichigo convert
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_convert_command(CLI::App& app);

}  // namespace ichigo
