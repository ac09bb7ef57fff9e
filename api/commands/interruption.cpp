#include "api/commands/interruption.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace contactd::api {
namespace {

constexpr std::chrono::milliseconds interruption_look_interval{50};

std::atomic<int> noted_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler writes it");

void note_signal(int number) {
  noted_signal = number;
  for (const int one : {SIGINT, SIGTERM}) {
    struct sigaction now{};
    sigaction(one, nullptr, &now);
    if (now.sa_handler == note_signal) signal(one, SIG_DFL);
  }
}

}  // namespace

Interrupted::Interrupted(int by, const std::string& before)
    : std::runtime_error(before + "ended by " + (by == SIGINT ? "SIGINT" : "SIGTERM")),
      signal(by) {}

void note_interruptions() {
  struct sigaction noting{};
  noting.sa_handler = note_signal;
  noting.sa_flags = SA_RESTART;  // a line that is being written is written whole
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction before{};
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    sigaction(number, &noting, nullptr);
  }
}

void end_if_interrupted() {
  if (const int number = noted_signal; number != 0) throw Interrupted{number};
}

void sleep_unless_interrupted(std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + time;
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    end_if_interrupted();
    std::this_thread::sleep_for(std::min<Clock::duration>(interruption_look_interval, end - now));
  }
  end_if_interrupted();
}

}  // namespace contactd::api
