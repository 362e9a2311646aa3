// ichigo train RECIPE.yaml
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_train_command(CLI::App& app);

}  // namespace ichigo
