// ichigo import
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_import_command(CLI::App& app);

}  // namespace ichigo
