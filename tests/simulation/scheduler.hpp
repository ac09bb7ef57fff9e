#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/domain/samples.hpp"

namespace contactd::test {

constexpr std::int64_t ms = 1'000'000;  // in nanoseconds

// Runs the threads of a test one at a time, and decides by the seed which one is next and where it
// is interrupted: the same seed, the same run. Time is simulated, too: it passes when all wait.
//
// While run() is under way, the calls of pthreads by the calling thread and by those that it and
// they create come here (scheduler.cpp takes the functions' places in the program): mutexes,
// condition variables, creating and joining, the clocks, and libstdc++'s waits for an atomic. What
// else blocks must not be used.
class Scheduler {
 public:
  explicit Scheduler(Random& random) : random_(random) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Calls `body`, which joins all threads that it starts.
  void run(const std::function<void()>& body);

  // Others may go on here.
  void pause();
  void sleep_ns(std::int64_t ns);
  std::int64_t now_ns() const { return now_ns_; }

  // Tells two runs apart.
  std::uint64_t trace() const { return trace_; }
  std::uint64_t switches() const { return switches_; }

  // ---- what pthreads come to, of the running thread ----
  static Scheduler* of_this_thread();
  void lock(pthread_mutex_t* mutex);
  bool try_lock(pthread_mutex_t* mutex);
  void unlock(pthread_mutex_t* mutex);
  // False if the deadline came first.
  bool wait(pthread_cond_t* condition, pthread_mutex_t* mutex, std::int64_t deadline_ns);
  void wake(pthread_cond_t* condition, bool all);
  int create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
             void* argument);
  void join(pthread_t thread);

  static constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

 private:
  struct Thread {
    std::size_t id = 0;
    sem_t turn{};
    bool finished = false;
    // What it waits for; nothing of these: it can go on.
    const void* waits_for = nullptr;
    std::int64_t deadline_ns = no_deadline;
    pthread_t handle{};
    Scheduler* scheduler = nullptr;
    void* (*start)(void*) = nullptr;
    void* argument = nullptr;
  };

  static void* run_thread(void* thread);
  Thread& self();
  Thread& next();
  void give_way();
  void block_on(const void* what, std::int64_t deadline_ns);
  void release_all_that_wait_for(const void* what);
  void maybe_interrupt();

  Random& random_;
  // Touched by the thread whose turn it is.
  std::vector<std::unique_ptr<Thread>> threads_;
  std::map<const pthread_mutex_t*, std::size_t> owners_;
  std::int64_t now_ns_ = 1'000'000'000;
  std::uint64_t trace_ = 0;
  std::uint64_t switches_ = 0;
};

}  // namespace contactd::test
