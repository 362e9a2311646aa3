// ichigo transcribe
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_transcribe_command(CLI::App& app);

}  // namespace ichigo
