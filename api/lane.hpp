#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "api/feed_tails.hpp"
#include "api/held_answers.hpp"
#include "api/http_message.hpp"
#include "api/lane_types.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"
#include "api/server.hpp"
#include "api/slow_reads.hpp"

// Shared by server.cpp, session.cpp and feed_session.cpp, and included by nothing else.
namespace contactd::api {

class Session;

// What all lanes share; owned by Server::Impl.
struct ServerState {
  ServerState(const Server::Settings& with, const Services& of, SlowReads& reads)
      : settings(with), services(of), slow_reads(reads) {}

  const Server::Settings& settings;
  const Services& services;
  SlowReads& slow_reads;
  HeldAnswers held_answers{{limits::held_answer_bytes_of_one_max, limits::held_answer_bytes_max,
                            limits::held_answer_bytes_uncounted_max}};

  std::atomic<std::size_t> connections{0};
  std::atomic<bool> draining{false};
  // Woken when the last connection has gone.
  std::mutex gone_mutex;
  std::condition_variable gone;
};

// A thread, its event loop, and the sessions on it.
// Threads: deliver() any; start(), stop() and join() its owner's; all else its own.
class Lane final : public infra::ReplySink {
 public:
  explicit Lane(ServerState& state);

  Executor executor() { return io_.get_executor(); }
  asio::io_context& io() { return io_; }
  ServerState& state() { return state_; }

  void start();
  void join();
  void stop() { io_.stop(); }

  void add(Session& session);
  void remove(Session& session);
  // Closes what is idle, and, if `all`, everything.
  void close_sessions(bool all);

  // Promises `session` what will be delivered under the token.
  std::uint64_t expect(Session& session);
  void forget(std::uint64_t token) { waiting_.erase(token); }

  // Wakes `writer` once the events at hand have been handled, or so many commands came of them that
  // it may begin: what arrived together is one batch.
  void wake_soon(infra::Writer& writer);

  // From the writer: one wake-up for all replies of a batch.
  void deliver(std::vector<infra::Reply> replies) override;
  // From the slow reads' threads.
  void deliver(std::uint64_t token, Response response);

  // The feeds that are followed here.
  FeedTails& feeds() { return feeds_; }

  // The Date field's value, made once a second.
  const std::string& date();
  // Counts an answered request, and logs it at the level debug.
  struct Answered {
    std::string_view method;
    std::string_view target;  // empty: it couldn't be read
    std::string_view route;
    int status;
    std::string_view request_id;
    std::chrono::steady_clock::duration took;
  };
  void note(const Answered& answered);
  void note(const Request& asked, std::string_view route, int status, SteadyTime started) {
    note({asked.method, asked.target, route, status, asked.request_id,
          std::chrono::steady_clock::now() - started});
  }

 private:
  Awaitable<void> watch_deadlines();

  ServerState& state_;
  asio::io_context io_{1};
  asio::executor_work_guard<Executor> work_{io_.get_executor()};
  FeedTails feeds_;
  std::list<Session*> sessions_;
  std::unordered_map<std::uint64_t, Session*> waiting_;
  std::uint64_t next_token_ = 1;
  struct ToWake {
    infra::Writer* writer;
    std::size_t commands;
  };
  std::vector<ToWake> to_wake_;
  std::time_t date_second_ = 0;
  std::string date_;
  std::map<std::tuple<std::string_view, std::string_view, int>, prometheus::Counter*> counters_;
  std::map<std::string_view, prometheus::Histogram*> histograms_;
  std::thread thread_;
};

// A connection. Lives in the frame of run().
class Session {
 public:
  Session(Socket socket, Lane& lane, std::string client_network);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Serves requests until the connection ends.
  Awaitable<void> run();
  // Sends `refusal`, unasked, and closes.
  Awaitable<void> refuse(ProtocolRefusal refusal);

  // Called by the lane, between the session's steps.
  void check_deadline(SteadyTime now);
  void close_if_idle();
  void cut();
  void deliver(infra::Outcome outcome);
  void deliver(Response response);

  std::list<Session*>::iterator place;  // in the lane's list

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::api
