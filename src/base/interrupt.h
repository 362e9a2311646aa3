// Ctrl-C and SIGTERM ask long work to stop at the next safe point instead of killing it.
#pragma once

namespace ichigo {

// Installs the handlers; a second signal ends the process at once.
void install_interrupt_handler();
// True once a signal came.
bool interrupted();

}  // namespace ichigo
