#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "domain/commands.hpp"
#include "domain/organization/api_key.hpp"
#include "domain/rejection.hpp"
#include "infra/clock.hpp"
#include "infra/event_log.hpp"
#include "infra/metrics.hpp"
#include "infra/projector.hpp"
#include "infra/read_store.hpp"

namespace contactd::infra {

// What became of a command.
struct ApiKeyCreatedAnswer {
  domain::ApiKey key;
};
struct ApiKeyRevokedAnswer {
  domain::KeyId key;
};
// The Idempotency-Key came before with another request.
struct IdempotencyKeyReused {};
// The command was not decided, and never will be: nothing has changed.
struct NotTaken {};
// It may have been committed, or may be yet: only a later read of the log can tell.
struct OutcomeUnknown {};

struct Outcome {
  std::variant<projections::ContactAnswer, projections::DeletedAnswer, domain::Rejection,
               ApiKeyCreatedAnswer, ApiKeyRevokedAnswer, IdempotencyKeyReused, NotTaken,
               OutcomeUnknown>
      answer;
  bool replayed = false;  // it is the answer to an earlier request with this Idempotency-Key
};

struct Reply {
  std::uint64_t token = 0;  // as submitted
  Outcome outcome;
};

// Takes the replies of a batch, all at once: one wake-up for many.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Called by the writer's thread; must not block and must not throw.
  virtual void deliver(std::vector<Reply> replies) = 0;
};

struct Submission {
  domain::OrganizationId organization;
  domain::Command command;
  std::string actor;  // id of the API key, or "admin"
  std::string request_id;
  std::optional<domain::IdempotencyStamp> idempotency;
  ReplySink* sink = nullptr;  // must live until the writer was stopped
  std::uint64_t token = 0;
};

// Why a command was not even queued.
enum class Refusal {
  queue_full,
  in_progress,  // a request with the same Idempotency-Key waits for its answer
  unavailable,  // the writer doesn't hold the partition at present
};

// The one decider of a partition. Its thread takes the partition, folds up to its own claim, and
// then, over and over: drains the queue, decides, appends the batch, folds it back from the log,
// answers. On any doubt about the log it drops what is undecided, answers that the outcome is
// unknown, and starts at the claim again.
//
// Threads: submit(), wake() and status() from any; start() and stop() from one.
class Writer {
 public:
  struct Limits {
    std::size_t queue_commands_max = 4096;
    std::size_t batch_commands_max = 256;
  };
  struct Status {
    enum class State {
      folding,     // reading the log up to its own claim; not ready yet
      serving,     // taking commands
      recovering,  // the log or the disk is away; tries again by itself
      stopped,     // the log must not be folded further; an operator is needed
    };
    State state = State::folding;
    std::string detail;  // a sentence, where there is something to say
  };

  Writer(std::uint32_t partition, Limits limits, EventLog& log, ReadStore& store, Metrics& metrics,
         Clock clock);
  ~Writer();

  void start();
  // Decides and answers all that is queued, then ends the thread. No submit() may follow.
  void stop();

  // Queues a command, whose outcome goes to its sink; or says at once why not.
  // The thread may sleep on until wake().
  std::optional<Refusal> submit(Submission submission);
  // Tells the thread that something was queued. Apart from submit(), so that commands which arrive
  // together are decided together.
  void wake();

  Status status() const;
  // Whether it has once folded all of the log up to a claim of its own. Before that the projections
  // may lack what was acknowledged earlier, and must not be read.
  bool caught_up() const { return caught_up_.load(std::memory_order_acquire); }

 private:
  using Clocked = std::chrono::steady_clock;

  void run(std::stop_token stop);
  void claim_and_catch_up(std::stop_token stop);
  void serve(std::stop_token stop);
  std::vector<Submission> take_batch(std::stop_token stop);
  void process(std::vector<Submission> batch);
  void answer(std::vector<Submission>& batch, std::vector<Outcome> outcomes);
  void refuse_all_queued();
  void set_status(Status::State state, std::string detail);

  // Constant after construction; each provides its own synchronization.
  const std::uint32_t partition_;
  const Limits limits_;
  EventLog& log_;
  ReadStore& store_;
  Metrics& metrics_;
  const Clock clock_;

  // Touched by the thread only.
  Projector projector_;
  Claim claim_;

  std::atomic<bool> caught_up_{false};

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable_any queued_;
  std::deque<Submission> queue_;
  std::set<domain::Digest> in_progress_;  // the idempotency keys of what is queued or under way
  bool waiting_ = false;                  // the thread sleeps and wants to be woken
  Status status_;

  std::jthread thread_;  // last: it touches all of the above
};

}  // namespace contactd::infra
