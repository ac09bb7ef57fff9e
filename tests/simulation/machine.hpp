#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/domain/random_commands.hpp"
#include "tests/infra/writer_fixture.hpp"
#include "tests/simulation/disk.hpp"
#include "tests/simulation/model.hpp"

namespace contactd::test {

// Whether a command was decided and its client told so.
bool is_answer(const infra::Outcome& outcome);

class CountedReplies final : public infra::ReplySink {
 public:
  void deliver(std::vector<infra::Reply> replies) override {
    for (const infra::Reply& reply : replies) answered_ += is_answer(reply.outcome) ? 1 : 0;
    replies_.deliver(std::move(replies));
  }
  infra::Outcome wait_for(std::uint64_t token) { return replies_.wait_for(token); }
  std::size_t answered() const { return answered_; }

 private:
  std::atomic<std::size_t> answered_ = 0;
  Replies replies_;
};

// The embedded log, the projections and the real writer, with its threads, on a simulated disk; and
// a client that sends commands at random and remembers what it was told.
class Machine {
 public:
  explicit Machine(std::uint64_t seed);
  ~Machine();

  SimulatedDisk& disk() { return disk_; }
  Random& random() { return random_; }

  // Opens what the disk has and waits until commands are taken. False if that can't be: it says
  // that the disk is at fault.
  bool start();
  // The same where nothing is wrong with the disk, however slow the machine is.
  bool start_on_a_whole_disk();
  // Why the last start() failed, or what the writer says.
  std::string trouble() const;
  // Sends so many commands, some at once. Returns false as soon as one got no answer; the rest is
  // not sent.
  bool send(std::size_t commands);
  bool serves() const;
  // Whether commands are taken again, within a limit.
  bool recovers();
  // The same, by sending some.
  bool recovers_from_full_disk();
  void stop();

  // Whether what the disk has of the log opens where its files are looked at for damage, which the
  // simulated disk is spared: nothing, or why not. REQUIRES: it is stopped.
  std::optional<std::string> log_refused_elsewhere();

  // How many commands were answered; the undecided are not. From any thread.
  std::size_t answered() const { return replies_.answered(); }
  // Has the projections written out, as when they have grown; or doesn't, where the disk fails.
  void flush();

  // REQUIRES: it serves. Stops, and compares all that was ever answered with the log, the store
  // with the log, and the store with one that is folded from nothing.
  NaiveModel settle();

 private:
  bool is_beyond_recovery() const;
  bool submit();
  bool take_answer(std::uint64_t token);
  std::vector<std::string> folded_anew();

  SimulatedDisk disk_;
  Random random_;
  RandomCommands commands_{random_};
  std::map<domain::OrganizationId, std::vector<domain::ContactId>> known_;
  CountedReplies replies_;
  std::map<std::string, infra::Outcome> told_;  // by request
  std::uint64_t last_token_ = 0;
  std::atomic<std::int64_t> now_ms_ = noon.unix_ms;

  std::string trouble_;
  std::unique_ptr<infra::Metrics> metrics_;
  std::unique_ptr<infra::EventLog> log_;
  std::unique_ptr<infra::ReadStore> store_;
  std::unique_ptr<infra::Writer> writer_;
};

// Calls `run` with 0, 1, ... up to, without, `count`, some at a time: a machine mostly waits.
void run_some_at_a_time(std::uint64_t count, const std::function<void(std::uint64_t)>& run);

// How often a test of many seeds or faults does its work: `variable`, or the quick run's number.
std::uint64_t count_from_environment(const char* variable, std::uint64_t quick);

}  // namespace contactd::test
