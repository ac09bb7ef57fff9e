#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
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
#include "domain/organization/webhook.hpp"
#include "domain/rejection.hpp"
#include "infra/clock.hpp"
#include "infra/event_log.hpp"
#include "infra/feed_hub.hpp"
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
// The endpoint as the command has left it.
struct WebhookAnswer {
  domain::Webhook webhook;
};
struct WebhookDeletedAnswer {
  domain::WebhookId webhook;
};
// The Idempotency-Key came before with another request.
struct IdempotencyKeyReused {};
// The command was not decided, and never will be: nothing has changed.
struct NotTaken {};
// It may have been committed, or may be yet: only a later read of the log can tell.
struct OutcomeUnknown {};

struct Outcome {
  std::variant<projections::ContactAnswer, projections::DeletedAnswer, domain::Rejection,
               ApiKeyCreatedAnswer, ApiKeyRevokedAnswer, WebhookAnswer, WebhookDeletedAnswer,
               IdempotencyKeyReused, NotTaken, OutcomeUnknown>
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
  // Called by a partition's threads; must not block and must not throw.
  virtual void deliver(std::vector<Reply> replies) = 0;
};

class BatchDecider;

struct Submission {
  domain::OrganizationId organization;
  domain::Command command;
  std::string actor;  // id of the API key, or "admin"
  std::string request_id;
  std::optional<domain::IdempotencyStamp> idempotency;
  ReplySink* sink = nullptr;  // must live until the writer was stopped
  std::uint64_t token = 0;
  std::size_t bytes = 0;  // of the request that it came with
};

// Why a command was not even queued.
enum class Refusal {
  queue_full,
  in_progress,  // a request with the same Idempotency-Key waits for its answer
  unavailable,  // the writer doesn't hold the partition at present
};

// Who writes a partition, as far as this process knows. A hint of who should; the proof is the
// claim in the log.
enum class Ownership {
  ours,
  elsewhere,  // another process was told to: it alone can promise that a read is up to date
  unknown,    // nobody has said, or those who say are away
};

// The one decider of a partition, and the one who folds it. Two threads:
//
// The folding thread follows the log and folds it, whoever writes it. While commands are served, it
// folds what it is handed.
// The writing thread, once the partition is ours, takes it, waits until its own claim is folded,
// and then, over and over: drains the queue, decides, appends the batch. If nothing else waits it
// folds the batch itself, which spares a lone request a detour; else it hands it over and decides
// the next one meanwhile, on the confirmed state plus what is in flight. Whoever has folded a batch
// answers its commands.
//
// On any doubt about the log it drops what is undecided, answers that the outcome is unknown, lets
// the claim go, and starts at the claim again. What rests on a batch that was not applied isn't
// applied either, since its events' sequence numbers follow the batch's.
//
// Threads: start() and stop() from one; all else from any, but for give_up(), which must not be
// called by a ReplySink.
class Writer {
 public:
  struct Limits {
    std::size_t queue_commands_max = 4096;
    std::size_t batch_commands_max = 256;
    // How much was sent of a batch's commands, if there is more than one: of large ones so many at
    // a time that they are stored in time over a slow link, too.
    std::size_t batch_bytes_max = 2U << 20U;
    // Batches that were decided and are not folded yet. With one, the thread that has appended a
    // batch folds it, and nothing overlaps: best where an append is short. With two, the next batch
    // is decided and appended meanwhile: best where an append is long, such as a broker's.
    std::size_t batches_in_flight_max = 1;
    // How long a batch waits until it has as many commands as the one before: clients have their
    // answers by then, or soon, and send the next. Zero, it takes what there is: best where an
    // append costs by what is in it. Where each costs about the same, such as a broker's
    // transaction, one that is twice as full is worth the wait.
    std::chrono::milliseconds gather_wait_max{0};
    // How long the log may take to show what was committed to it.
    std::chrono::milliseconds read_back_wait_max{10'000};
    // How often the writer looks for the next command before it sleeps, giving way to whoever can
    // run. A client that has its answer sends its next request about as soon as a thread is woken.
    int idle_looks_max = 200;
  };
  struct Status {
    enum class State {
      folding,     // reading the log up to its own claim; not ready yet
      following,   // the partition isn't ours to write; it is folded as others write it
      serving,     // taking commands
      recovering,  // the log or the disk is away; tries again by itself
      stopped,     // the log must not be folded further; an operator is needed
    };
    State state = State::folding;
    std::string detail;  // a sentence, where there is something to say
  };

  Writer(std::uint32_t partition, Limits limits, EventLog& log, ReadStore& store, Metrics& metrics,
         Clock clock, FeedHub* feed_hub = nullptr);
  ~Writer();

  // Starts to fold. Nothing is written before take().
  void start();
  // Decides and answers all that is queued, then ends the threads. No submit() may follow.
  void stop();

  // The partition is ours to write.
  void take();
  // It isn't any more: returns once the claim has been let go, and none follows until take().
  // Blocks no longer than a claim or an append and `read_back_wait_max`.
  // REQUIRES: `now` isn't Ownership::ours.
  void give_up(Ownership now);
  Ownership ownership() const;
  // This process stood still for long: others may have written the partition meanwhile.
  void doubt() { ++doubts_; }
  // Whether others may have written since a claim of ours was last folded: they may have answered
  // with more than is read here.
  bool may_be_stale() const { return doubts_ != doubts_settled_; }

  // Queues a command, whose outcome goes to its sink; or says at once why not.
  // It isn't looked at until wake().
  std::optional<Refusal> submit(Submission submission);
  // Releases what was queued to be decided. Apart from submit(), so that commands which arrive
  // together are decided together: a batch has a price of its own.
  void wake();

  Status status() const;
  // Whether the projections may be read: all of the log was once folded, up to a claim of its own,
  // or, where another process writes, up to what was the log's end. Before that they may lack what
  // was acknowledged earlier.
  bool caught_up() const { return caught_up_.load(std::memory_order_acquire); }

  // How much isn't folded yet of what was in the log when this began: all that who takes the
  // partition would be kept waiting for. `unknown_left` before it is known. What a writer has
  // left in an open transaction counts, and ends with the next claim, or once the log ends it.
  static constexpr std::uint64_t unknown_left = static_cast<std::uint64_t>(-1);
  std::uint64_t records_left() const { return records_left_.load(std::memory_order_acquire); }
  // The offset up to which it has folded, whether that is stored or not.
  std::uint64_t position() const;

  // Nothing is folded as long as the lock is held. The checkpoint in the store is then the
  // writer's. Throws StoreUnavailable.
  std::unique_lock<std::mutex> hold_folding();

 private:
  using Clocked = std::chrono::steady_clock;

  // A batch that was decided, and is appended or being appended.
  struct InFlight {
    std::vector<Submission> batch;
    std::shared_ptr<BatchDecider> decider;
    std::size_t confirmed = 0;  // how many of its events were folded

    bool complete() const;
  };

  // The writing thread.
  void write(std::stop_token stop);
  bool wait_until_ours(std::stop_token stop);
  bool claim_and_catch_up(std::stop_token stop);
  void wait_until_claim_is_folded(std::stop_token stop);
  void serve(std::stop_token stop);
  std::vector<Submission> take_batch(std::stop_token stop);
  std::size_t next_batch_count() const;
  void gather(std::unique_lock<std::mutex>& lock, std::stop_token stop);
  std::shared_ptr<BatchDecider> decide(const std::vector<Submission>& batch);
  void process(std::vector<Submission> batch);
  AppendResult append(const BatchDecider& decider);
  void fold_or_hand_over(std::uint64_t sequence);
  void take_back(const BatchDecider& decider, const Outcome& outcome);
  void leave();
  void refuse_all_queued();

  // The folding thread.
  void follow(std::stop_token stop);
  bool wait_until_handed_over(std::stop_token stop);
  void fold_what_was_handed_over();
  void follow_on();

  // Both.
  void look_what_is_left();
  void catch_up_with_another();
  bool fold_next();
  bool fold_next_or_throw();
  bool fold_and_tell();
  void note_folded();
  void keep_what_was_folded();
  void tell_progress();
  void fold_to(std::uint64_t sequence);
  void fold_to_or_throw(std::uint64_t sequence);
  void confirm(const domain::RecordedEvent& event, const projections::FoldBatch::Result& folded);
  std::vector<InFlight> take_complete();
  void answer(std::vector<InFlight> complete);
  void answer(std::vector<Submission>& batch, std::vector<Outcome> outcomes);
  void fail(std::exception_ptr failure);
  void stop_for_good(const std::exception& problem);
  void set_status(Status::State state, std::string detail);
  void set_following();

  // Constant after construction; each provides its own synchronization.
  const std::uint32_t partition_;
  const Limits limits_;
  EventLog& log_;
  ReadStore& store_;
  Metrics& metrics_;
  prometheus::Gauge& queue_gauge_;
  prometheus::Gauge& serving_gauge_;
  const Clock clock_;
  FeedHub* const feed_hub_;  // told of what was folded; may be null

  // Touched by the writing thread only.
  std::uint64_t next_sequence_ = 1;
  domain::Instant last_time_;  // of the last event decided
  domain::Digest chain_hash_;  // its chain hash

  std::atomic<bool> caught_up_{false};
  std::atomic<std::uint64_t> records_left_{unknown_left};
  std::optional<std::uint64_t> first_end_;  // of the log; touched by the folding thread only
  std::atomic<std::uint64_t> doubts_{0};
  std::atomic<std::uint64_t> doubts_settled_{0};  // by a claim made since

  // Guarded by fold_mutex_, which is taken before mutex_; but for projector_.confirmed().
  std::mutex fold_mutex_;
  Projector projector_;
  Clocked::time_point told_ = Clocked::now();  // when it was last said how far the folding is

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable_any to_write_;  // for the writing thread
  std::condition_variable_any to_fold_;   // for the folding thread
  std::condition_variable_any given_up_;  // for give_up()
  std::deque<Submission> queue_;
  std::size_t released_ = 0;              // so many from the front of queue_ may be decided
  std::set<domain::Digest> in_progress_;  // the idempotency keys of what is queued or in flight
  bool waiting_ = false;                  // the writing thread sleeps and wants to be woken
  Status status_;
  Ownership ownership_ = Ownership::unknown;
  bool writing_ = false;  // from the attempt to claim until the claim was let go
  bool serving_ = false;  // the claim is folded, and commands are decided
  Claim claim_;
  std::deque<InFlight> in_flight_;  // the oldest first; never begins with a complete one
  std::size_t last_batch_commands_ = 0;
  std::uint64_t committed_ = 0;     // the last sequence number that append() said is committed
  bool handed_over_ = false;        // the folding thread is to fold up to it
  projections::Checkpoint folded_;  // what the projector has folded and stored
  std::uint64_t folding_at_ = 0;    // what it has folded, stored or not
  std::exception_ptr failure_;      // why the claim must be given up
  bool stopped_ = false;            // nothing may be folded any more
  bool cant_fold_ = false;          // the store took no write at the last attempt

  std::jthread folding_;  // last: they touch all of the above
  std::jthread writing_thread_;
};

}  // namespace contactd::infra
