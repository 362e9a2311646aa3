// `ichigo inspect`: what a weight file or a model folder holds.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_inspect_command(CLI::App& app);

}  // namespace ichigo
