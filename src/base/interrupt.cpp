#include "base/interrupt.h"

#include <csignal>

namespace ichigo {
namespace {
volatile std::sig_atomic_t interrupt_flag = 0;
void handle(int signal) {
  interrupt_flag = 1;
  std::signal(signal, SIG_DFL);
}
}  // namespace

void install_interrupt_handler() {
  std::signal(SIGINT, handle);
  std::signal(SIGTERM, handle);
}

bool interrupted() { return interrupt_flag != 0; }

}  // namespace ichigo
