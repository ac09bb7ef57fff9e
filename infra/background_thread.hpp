#pragma once

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

namespace contactd::infra {

// Names the calling thread, for top, perf and gdb, and lets requests go before it. Without the
// right to, it stays as it is.
inline void become_background_thread(const char* name) {
  constexpr int background_nice = 10;
  pthread_setname_np(pthread_self(), name);
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), background_nice);
}

}  // namespace contactd::infra
