// `ichigo synthesize RECIPE.yaml`: speech data from text.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_synthesize_command(CLI::App& app);

}  // namespace ichigo
