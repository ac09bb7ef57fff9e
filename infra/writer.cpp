#include "infra/writer.hpp"

#include <pthread.h>

#include <algorithm>

#include "infra/batch_decider.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

// The writing thread: takes the partition, decides, appends. writer_folding.cpp has the other one.
namespace contactd::infra {
namespace {

using namespace projections;

constexpr std::chrono::milliseconds retry_pause_first{50};
constexpr std::chrono::milliseconds retry_pause_max{2'000};

domain::RecordedEvent claim_proposal(domain::Instant now, std::uint32_t partitions) {
  domain::RecordedEvent event;
  event.id = new_event_id(now);
  event.time = now;
  event.actor = "contactd";
  event.event = domain::WriterClaimed{new_request_id(), partitions};
  return event;
}

void require_all_that_was_folded(std::uint64_t log_end, std::uint64_t folded) {
  if (log_end >= folded) return;
  throw BrokenLog("the projections have folded " + std::to_string(folded) +
                  " records, but the log ended at offset " + std::to_string(log_end) +
                  ": it has lost records, or it is another one. Restore the log from a backup: "
                  "the projections may be the last copy of what it lacks. Only if it is right as "
                  "it is, remove the projections' directory, which is then made anew");
}

}  // namespace

Writer::Writer(std::uint32_t partition, Limits limits, EventLog& log, ReadStore& store,
               Metrics& metrics, Clock clock, FeedHub* feed_hub)
    : partition_(partition),
      limits_(limits),
      log_(log),
      store_(store),
      metrics_(metrics),
      queue_gauge_(of_partition(metrics.queue_commands, partition)),
      serving_gauge_(of_partition(metrics.partition_serving, partition)),
      clock_(std::move(clock)),
      feed_hub_(feed_hub),
      projector_(partition, log, store, metrics),
      folded_(projector_.checkpoint()) {}

Writer::~Writer() { stop(); }

void Writer::start() {
  folding_ = std::jthread{[this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "folder");  // for top, perf and gdb
    follow(std::move(stop));
  }};
  writing_thread_ = std::jthread{[this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "writer");
    write(std::move(stop));
  }};
}

void Writer::stop() {
  // The writing thread first: what it still appends wants to be folded.
  for (std::jthread* thread : {&writing_thread_, &folding_}) {
    if (!thread->joinable()) continue;
    thread->request_stop();
    thread->join();
  }
}

void Writer::take() {
  const std::lock_guard lock{mutex_};
  ownership_ = Ownership::ours;
  to_write_.notify_all();
}

void Writer::give_up(Ownership now) {
  std::unique_lock lock{mutex_};
  ownership_ = now;
  if (now == Ownership::elsewhere) doubt();
  to_write_.notify_all();
  given_up_.wait(lock, [this] { return !writing_; });
}

Ownership Writer::ownership() const {
  const std::lock_guard lock{mutex_};
  return ownership_;
}

std::optional<Refusal> Writer::submit(Submission submission) {
  const std::lock_guard lock{mutex_};
  if (status_.state != Status::State::serving) return Refusal::unavailable;
  if (queue_.size() >= limits_.queue_commands_max) {
    metrics_.queue_full.Increment();
    return Refusal::queue_full;
  }
  if (submission.idempotency && !in_progress_.insert(submission.idempotency->key).second) {
    return Refusal::in_progress;
  }
  queue_.push_back(std::move(submission));
  queue_gauge_.Set(static_cast<double>(queue_.size()));
  return std::nullopt;
}

void Writer::wake() {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    released_ = queue_.size();
    // With nothing queued the thread would sleep on, and waiting_ would say that it doesn't.
    wake = released_ > 0 && std::exchange(waiting_, false);
  }
  if (wake) to_write_.notify_one();
}

std::uint64_t Writer::position() const {
  const std::lock_guard lock{mutex_};
  return folding_at_;
}

Writer::Status Writer::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

// Called with mutex_ held. What stopped for good stays so.
void Writer::set_status(Status::State state, std::string detail) {
  if (stopped_) return;
  serving_gauge_.Set(state == Status::State::serving ? 1 : 0);
  status_ = {state, std::move(detail)};
}

// Called with mutex_ held.
void Writer::set_following() {
  set_status(Status::State::following, ownership_ == Ownership::elsewhere
                                           ? "another instance writes this partition"
                                           : "no instance is known to write this partition");
}

void Writer::write(std::stop_token stop) {
  auto pause = retry_pause_first;
  RepeatedFailure failing;
  while (wait_until_ours(stop)) {
    bool failed = true;
    try {
      if (claim_and_catch_up(stop)) {
        pause = retry_pause_first;
        failing.end();
        serve(stop);
      }
      failed = false;
    } catch (const Unavailable& problem) {
      if (failing.is_news(problem.what())) {
        spdlog::error("partition {}: {}; trying again", partition_, problem.what());
      }
      const std::lock_guard lock{mutex_};
      set_status(Status::State::recovering, problem.what());
    } catch (const std::exception& problem) {
      stop_for_good(problem);
    }
    leave();
    if (!failed) continue;
    std::unique_lock lock{mutex_};
    to_write_.wait_for(lock, stop, pause, [this] { return ownership_ != Ownership::ours; });
    pause = std::min(pause * 2, retry_pause_max);
  }
  refuse_all_queued();
}

bool Writer::wait_until_ours(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  // Each claim makes the log longer: none while what it says couldn't be folded.
  const auto ours = [this] { return ownership_ == Ownership::ours && !stopped_ && !cant_fold_; };
  // Until it has caught up it goes on folding, as it did since the start.
  if (ownership_ != Ownership::ours && caught_up()) set_following();
  to_write_.wait(lock, stop, ours);
  if (stop.stop_requested()) {
    set_status(Status::State::recovering, "stopping");
    return false;
  }
  writing_ = true;
  failure_ = nullptr;
  return true;
}

bool Writer::claim_and_catch_up(std::stop_token stop) {
  Checkpoint from;
  {
    const std::lock_guard lock{mutex_};
    set_status(Status::State::folding, "taking the partition");
    from = folded_;
  }
  // Before the claim: a claim record would make the log longer at each attempt, until it seemed
  // long enough.
  require_all_that_was_folded(log_.end_offset(partition_), from.next_offset);
  const std::uint64_t doubts = doubts_;
  const Claim claim = log_.claim(
      partition_, claim_proposal(std::max(clock_(), from.last_time), log_.partition_count()));
  metrics_.log_claims.Increment();
  require_all_that_was_folded(claim.epoch, from.next_offset);
  {
    const std::lock_guard lock{mutex_};
    claim_ = claim;
  }
  wait_until_claim_is_folded(stop);
  // Who folds without results (fold_next) is done with it before there is anything in flight.
  const std::lock_guard fold_lock{fold_mutex_};
  const std::lock_guard lock{mutex_};
  if (failure_) std::rethrow_exception(failure_);
  if (stop.stop_requested() || ownership_ != Ownership::ours) return false;
  if (folded_.claim != claim.epoch) {
    throw LogUnavailable("another writer took the partition at once");
  }
  spdlog::info("partition {}: claimed at offset {}; folded {} records", partition_, claim.epoch,
               claim.epoch + 1 - std::min(from.next_offset, claim.epoch + 1));
  next_sequence_ = 1;
  last_time_ = folded_.last_time;
  chain_hash_ = folded_.chain.hash;  // the claim's: nothing but it was applied since
  committed_ = 0;
  last_batch_commands_ = 0;
  handed_over_ = false;
  serving_ = true;
  set_status(Status::State::serving, {});
  caught_up_.store(true, std::memory_order_release);
  doubts_settled_ = doubts;
  return true;
}

// Returns early if something else came up; throws if the folding makes no progress.
void Writer::wait_until_claim_is_folded(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  const auto due = [this] {
    return folded_.next_offset > claim_.epoch || failure_ || ownership_ != Ownership::ours;
  };
  for (;;) {
    const std::uint64_t before = folding_at_;
    if (to_write_.wait_for(lock, stop, limits_.read_back_wait_max, due)) return;
    if (stop.stop_requested()) return;
    if (folding_at_ != before) continue;
    lock.unlock();
    // A large write of the projections may take as long.
    const std::unique_lock folds{fold_mutex_, std::try_to_lock};
    if (folds.owns_lock()) {
      throw LogUnavailable(
          "the log doesn't show the claim that was committed to it; check the "
          "log's health, and on Kafka for a transaction that another client left open");
    }
    lock.lock();
  }
}

void Writer::serve(std::stop_token stop) {
  for (;;) {
    std::vector<Submission> batch = take_batch(stop);
    if (batch.empty()) return;
    metrics_.batch_commands.Observe(static_cast<double>(batch.size()));
    process(std::move(batch));
  }
}

// Nothing, if the partition is no longer ours or the end has come. Throws what the folding failed
// with.
std::vector<Submission> Writer::take_batch(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  // Says each time before it sleeps that it does.
  const auto due = [this] {
    const bool now = failure_ || ownership_ != Ownership::ours ||
                     (released_ > 0 && in_flight_.size() < limits_.batches_in_flight_max);
    waiting_ = !now;
    return now;
  };
  for (int looks = 0; looks < limits_.idle_looks_max && !due(); ++looks) {
    waiting_ = false;  // awake: nobody need wake it
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  to_write_.wait(lock, stop, due);
  if (stop.stop_requested()) released_ = queue_.size();
  gather(lock, stop);
  // Told to stop, it still decides what is queued, each batch in its turn.
  if (!queue_.empty()) to_write_.wait(lock, due);
  waiting_ = false;
  if (failure_) std::rethrow_exception(failure_);
  if (ownership_ != Ownership::ours) return {};
  const std::size_t count = next_batch_count();
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Submission> batch{std::make_move_iterator(queue_.begin()),
                                std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  released_ -= count;
  last_batch_commands_ = count;
  queue_gauge_.Set(static_cast<double>(queue_.size()));
  return batch;
}

// Called with mutex_ held.
std::size_t Writer::next_batch_count() const {
  const std::size_t count_max = std::min(released_, limits_.batch_commands_max);
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < count_max; ++count) {
    bytes += queue_[count].bytes;
    if (count > 0 && bytes > limits_.batch_bytes_max) return count;
  }
  return count_max;
}

void Writer::gather(std::unique_lock<std::mutex>& lock, std::stop_token stop) {
  if (limits_.gather_wait_max == std::chrono::milliseconds::zero()) return;
  to_write_.wait_for(lock, stop, limits_.gather_wait_max, [this] {
    waiting_ = !failure_ && ownership_ == Ownership::ours && released_ < last_batch_commands_;
    return !waiting_;
  });
}

std::shared_ptr<BatchDecider> Writer::decide(const std::vector<Submission>& batch) {
  BatchDecider::Bases bases;
  {
    const std::lock_guard lock{mutex_};
    std::for_each(in_flight_.rbegin(), in_flight_.rend(),
                  [&](const InFlight& one) { bases.push_back(one.decider); });
  }
  // The log's times never go backwards, whatever the clock does.
  last_time_ = std::max(clock_(), last_time_);
  auto decider = std::make_shared<BatchDecider>(
      partition_, claim_, BatchDecider::Start{last_time_, next_sequence_, chain_hash_},
      projector_.confirmed(), store_, std::move(bases));
  for (const Submission& submission : batch) decider->decide(submission);
  decider->seal();
  next_sequence_ = decider->next_sequence();
  chain_hash_ = decider->chain_hash();
  return decider;
}

void Writer::process(std::vector<Submission> batch) {
  std::shared_ptr<BatchDecider> decider;
  try {
    decider = decide(batch);
  } catch (...) {
    answer(batch, std::vector<Outcome>(batch.size(), Outcome{NotTaken{}}));
    throw;
  }
  std::vector<InFlight> complete;
  {
    const std::lock_guard lock{mutex_};
    in_flight_.push_back({std::move(batch), decider});
    complete = take_complete();
  }
  answer(std::move(complete));
  if (decider->events().empty()) return;
  switch (append(*decider)) {
    case AppendResult::committed:
      metrics_.log_events.Increment(static_cast<double>(decider->events().size()));
      fold_or_hand_over(decider->events().back().stamp.sequence);
      return;
    case AppendResult::fenced:
      metrics_.log_fenced.Increment();
      take_back(*decider, Outcome{NotTaken{}});
      throw LogUnavailable("another writer has taken the partition");
    case AppendResult::refused:
      take_back(*decider, Outcome{NotTaken{}});
      throw LogUnavailable("the log refused a batch, of which nothing was written");
    case AppendResult::unknown:
      metrics_.log_unknown.Increment();
      take_back(*decider, Outcome{OutcomeUnknown{}});
      throw LogUnavailable("the fate of a batch is unknown");
  }
  std::abort();
}

AppendResult Writer::append(const BatchDecider& decider) {
  const auto started = Clocked::now();
  try {
    const AppendResult result = log_.append(claim_, decider.events(), decider.canonical());
    const std::chrono::duration<double> took = Clocked::now() - started;
    metrics_.log_append_seconds.Observe(took.count());
    return result;
  } catch (const Unavailable& problem) {
    spdlog::error("partition {}: {}", partition_, problem.what());
    return AppendResult::unknown;
  }
}

void Writer::fold_or_hand_over(std::uint64_t sequence) {
  {
    const std::lock_guard lock{mutex_};
    committed_ = sequence;
    if (limits_.batches_in_flight_max > 1 && (handed_over_ || !queue_.empty())) {
      handed_over_ = true;
      to_fold_.notify_one();
      return;
    }
  }
  fold_to(sequence);
}

// The batch whose append went wrong is in flight no more; unless its events have come back from
// the log all the same, and its commands were told so.
void Writer::take_back(const BatchDecider& decider, const Outcome& outcome) {
  std::vector<Submission> batch;
  {
    const std::lock_guard lock{mutex_};
    if (in_flight_.empty() || in_flight_.back().decider.get() != &decider) return;
    batch = std::move(in_flight_.back().batch);
    in_flight_.pop_back();
  }
  answer(batch, std::vector<Outcome>(batch.size(), outcome));
}

// Lets the claim go and leaves no command without an answer.
void Writer::leave() {
  log_.release(partition_);
  std::uint64_t committed = 0;
  bool may_come_back = false;
  {
    const std::lock_guard lock{mutex_};
    serving_ = false;
    if (status_.state == Status::State::serving) {
      set_status(Status::State::recovering, "letting the partition go");
    }
    committed = committed_;
    may_come_back = !in_flight_.empty() && !failure_;
  }
  to_fold_.notify_one();
  try {
    if (may_come_back) fold_to(committed);
  } catch (const std::exception& problem) {
    spdlog::error("partition {}: {}", partition_, problem.what());
  }
  std::deque<InFlight> unknown;
  {
    const std::lock_guard lock{mutex_};
    unknown.swap(in_flight_);
  }
  for (InFlight& one : unknown) {
    answer(one.batch, std::vector<Outcome>(one.batch.size(), Outcome{OutcomeUnknown{}}));
  }
  refuse_all_queued();
  const std::lock_guard lock{mutex_};
  writing_ = false;
  given_up_.notify_all();
}

void Writer::refuse_all_queued() {
  std::vector<Submission> queued;
  {
    const std::lock_guard lock{mutex_};
    queued.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
    queue_.clear();
    released_ = 0;
    queue_gauge_.Set(0);
  }
  answer(queued, std::vector<Outcome>(queued.size(), Outcome{NotTaken{}}));
}

}  // namespace contactd::infra
