// `ichigo distill OUT.tsv`: questions and answers out of a language model.
#pragma once

namespace CLI {
class App;
}

namespace ichigo {

void add_distill_command(CLI::App& app);

}  // namespace ichigo
