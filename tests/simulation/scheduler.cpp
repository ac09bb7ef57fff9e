#include "tests/simulation/scheduler.hpp"

#include <dlfcn.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace contactd::test {
namespace {

constexpr std::int64_t switch_costs_ns = 1000;
constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::size_t interrupted_once_in = 4;
constexpr std::uint64_t trace_factor = 1'099'511'628'211U;  // FNV-1a's

thread_local Scheduler* scheduler = nullptr;
thread_local std::size_t thread_id = 0;

// What stands behind us: the C library's, or a sanitizer's.
template <class Function>
Function* real(const char* name) {
  void* found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");  // that of condition variables
  if (found == nullptr) found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

std::int64_t in_ns(const timespec& time) { return time.tv_sec * second_ns + time.tv_nsec; }

}  // namespace

Scheduler* Scheduler::of_this_thread() { return scheduler; }

void Scheduler::run(const std::function<void()>& body) {
  threads_.push_back(std::make_unique<Thread>());
  sem_init(&threads_.front()->turn, 0, 0);
  scheduler = this;
  thread_id = 0;
  body();
  scheduler = nullptr;
  for (const auto& thread : threads_) sem_destroy(&thread->turn);
  threads_.clear();
}

Scheduler::Thread& Scheduler::self() { return *threads_[thread_id]; }

// Whose turn it is. If all wait, time passes until one needs to wait no longer.
Scheduler::Thread& Scheduler::next() {
  for (;;) {
    std::vector<Thread*> ready;
    std::int64_t earliest = no_deadline;
    for (const auto& thread : threads_) {
      if (thread->finished) continue;
      if (thread->waits_for == nullptr || thread->deadline_ns <= now_ns_) {
        ready.push_back(thread.get());
      } else {
        earliest = std::min(earliest, thread->deadline_ns);
      }
    }
    if (!ready.empty()) {
      Thread& chosen = *random_.pick(ready);
      trace_ = (trace_ ^ chosen.id) * trace_factor;
      return chosen;
    }
    if (earliest == no_deadline) {
      std::fputs("simulation: every thread waits for ever\n", stderr);
      std::abort();
    }
    now_ns_ = earliest;
  }
}

void Scheduler::give_way() {
  ++switches_;
  now_ns_ += switch_costs_ns;
  Thread& me = self();
  Thread& chosen = next();
  if (&chosen == &me) return;
  sem_post(&chosen.turn);
  while (!me.finished && sem_wait(&me.turn) != 0) {
  }
}

void Scheduler::block_on(const void* what, std::int64_t deadline_ns) {
  Thread& me = self();
  me.waits_for = what;
  me.deadline_ns = deadline_ns;
  give_way();
  me.deadline_ns = no_deadline;
}

void Scheduler::release_all_that_wait_for(const void* what) {
  for (const auto& thread : threads_) {
    if (thread->waits_for == what) thread->waits_for = nullptr;
  }
}

void Scheduler::pause() { give_way(); }

void Scheduler::sleep_ns(std::int64_t ns) {
  block_on(this, now_ns_ + ns);
  self().waits_for = nullptr;
}

void Scheduler::maybe_interrupt() {
  if (random_.one_in(interrupted_once_in)) give_way();
}

void Scheduler::lock(pthread_mutex_t* mutex) {
  while (owners_.contains(mutex)) block_on(mutex, no_deadline);
  owners_[mutex] = thread_id;
}

bool Scheduler::try_lock(pthread_mutex_t* mutex) {
  return owners_.try_emplace(mutex, thread_id).second;
}

void Scheduler::unlock(pthread_mutex_t* mutex) {
  owners_.erase(mutex);
  release_all_that_wait_for(mutex);
  maybe_interrupt();
}

bool Scheduler::wait(pthread_cond_t* condition, pthread_mutex_t* mutex, std::int64_t deadline_ns) {
  owners_.erase(mutex);
  release_all_that_wait_for(mutex);
  block_on(condition, deadline_ns);
  const bool woken = self().waits_for == nullptr;
  self().waits_for = nullptr;
  lock(mutex);
  return woken;
}

void Scheduler::wake(pthread_cond_t* condition, bool all) {
  std::vector<Thread*> waiting;
  for (const auto& thread : threads_) {
    if (thread->waits_for == condition) waiting.push_back(thread.get());
  }
  if (waiting.empty()) return;
  if (!all) waiting = {random_.pick(waiting)};
  for (Thread* thread : waiting) thread->waits_for = nullptr;
}

int Scheduler::create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                      void* argument) {
  Thread& created = *threads_.emplace_back(std::make_unique<Thread>());
  created.id = threads_.size() - 1;
  created.scheduler = this;
  created.start = start;
  created.argument = argument;
  sem_init(&created.turn, 0, 0);
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  const int error = real<Create>("pthread_create")(thread, attributes, run_thread, &created);
  created.handle = *thread;
  if (error != 0) created.finished = true;
  return error;
}

void* Scheduler::run_thread(void* thread) {
  Thread& me = *static_cast<Thread*>(thread);
  while (sem_wait(&me.turn) != 0) {
  }
  scheduler = me.scheduler;
  thread_id = me.id;
  void* const result = me.start(me.argument);
  me.finished = true;
  scheduler->release_all_that_wait_for(&me);
  scheduler->give_way();
  scheduler = nullptr;
  return result;
}

void Scheduler::join(pthread_t thread) {
  for (const auto& one : threads_) {
    if (one->start == nullptr || pthread_equal(one->handle, thread) == 0) continue;
    while (!one->finished) block_on(one.get(), no_deadline);
    one->start = nullptr;  // the handle may be given to another one
    return;
  }
}

}  // namespace contactd::test

// ---- the functions of pthreads ------------------------------------------------------------------

// Their parameters have the C library's attributes there and none here.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
using contactd::test::real;
using contactd::test::Scheduler;

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) {
    ours->lock(mutex);
    return 0;
  }
  static auto* const theirs = real<int(pthread_mutex_t*)>("pthread_mutex_lock");
  return theirs(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) return ours->try_lock(mutex) ? 0 : EBUSY;
  static auto* const theirs = real<int(pthread_mutex_t*)>("pthread_mutex_trylock");
  return theirs(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) {
    ours->unlock(mutex);
    return 0;
  }
  static auto* const theirs = real<int(pthread_mutex_t*)>("pthread_mutex_unlock");
  return theirs(mutex);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  if (auto* ours = Scheduler::of_this_thread()) {
    ours->wait(condition, mutex, Scheduler::no_deadline);
    return 0;
  }
  static auto* const theirs = real<int(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait");
  return theirs(condition, mutex);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* deadline) {
  if (auto* ours = Scheduler::of_this_thread()) {
    return ours->wait(condition, mutex, contactd::test::in_ns(*deadline)) ? 0 : ETIMEDOUT;
  }
  static auto* const theirs =
      real<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>(
          "pthread_cond_clockwait");
  return theirs(condition, mutex, clock, deadline);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* deadline) {
  if (auto* ours = Scheduler::of_this_thread()) {
    return ours->wait(condition, mutex, contactd::test::in_ns(*deadline)) ? 0 : ETIMEDOUT;
  }
  static auto* const theirs =
      real<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait");
  return theirs(condition, mutex, deadline);
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) {
    ours->wake(condition, false);
    return 0;
  }
  static auto* const theirs = real<int(pthread_cond_t*)>("pthread_cond_signal");
  return theirs(condition);
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) {
    ours->wake(condition, true);
    return 0;
  }
  static auto* const theirs = real<int(pthread_cond_t*)>("pthread_cond_broadcast");
  return theirs(condition);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  if (auto* ours = Scheduler::of_this_thread()) {
    return ours->create(thread, attributes, start, argument);
  }
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const theirs = real<Create>("pthread_create");
  return theirs(thread, attributes, start, argument);
}

int pthread_join(pthread_t thread, void** result) {
  if (auto* ours = Scheduler::of_this_thread()) ours->join(thread);
  static auto* const theirs = real<int(pthread_t, void**)>("pthread_join");
  return theirs(thread, result);
}

// With which libstdc++ waits for the end of a stop_callback that is being called.
long syscall(long number, ...) noexcept {
  std::array<long, 6> arguments{};
  va_list given;
  va_start(given, number);
  for (long& argument : arguments) argument = va_arg(given, long);
  va_end(given);
  auto* const ours = Scheduler::of_this_thread();
  if (ours != nullptr && number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT) {
    ours->pause();
    errno = EAGAIN;  // look again
    return -1;
  }
  static auto* const theirs = real<long(long, ...)>("syscall");
  return theirs(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (const auto* ours = Scheduler::of_this_thread()) {
    time->tv_sec = ours->now_ns() / contactd::test::second_ns;
    time->tv_nsec = ours->now_ns() % contactd::test::second_ns;
    return 0;
  }
  static auto* const theirs = real<int(clockid_t, timespec*)>("clock_gettime");
  return theirs(clock, time);
}
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
