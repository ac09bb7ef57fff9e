#include "infra/writer.hpp"

#include <pthread.h>

#include <algorithm>
#include <map>

#include "infra/batch_decider.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::infra {
namespace {

using namespace projections;

constexpr std::chrono::milliseconds retry_pause_first{50};
constexpr std::chrono::milliseconds retry_pause_max{2'000};
constexpr std::chrono::seconds progress_interval{2};

domain::RecordedEvent claim_proposal(domain::Instant now) {
  domain::RecordedEvent event;
  event.id = new_event_id(now);
  event.time = now;
  event.actor = "contactd";
  event.event = domain::WriterClaimed{new_request_id()};
  return event;
}

void require_all_that_was_folded(std::uint64_t log_end, std::uint64_t folded) {
  if (log_end >= folded) return;
  throw BrokenLog("the projections have folded " + std::to_string(folded) +
                  " records, but the log ended at offset " + std::to_string(log_end) +
                  ": it has lost records, or it is another one. If this log is the right one, "
                  "remove the projections' directory, which is then made anew");
}

}  // namespace

Writer::Writer(std::uint32_t partition, Limits limits, EventLog& log, ReadStore& store,
               Metrics& metrics, Clock clock)
    : partition_(partition),
      limits_(limits),
      log_(log),
      store_(store),
      metrics_(metrics),
      clock_(std::move(clock)),
      projector_(partition, log, store, metrics) {}

Writer::~Writer() { stop(); }

void Writer::start() {
  thread_ = std::jthread{[this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "writer");  // for top, perf and gdb
    run(std::move(stop));
  }};
}

void Writer::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
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
  metrics_.queue_commands.Set(static_cast<double>(queue_.size()));
  return std::nullopt;
}

void Writer::wake() {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    // With nothing queued the thread would sleep on, and waiting_ would say that it doesn't.
    wake = !queue_.empty() && std::exchange(waiting_, false);
  }
  if (wake) queued_.notify_one();
}

Writer::Status Writer::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

void Writer::set_status(Status::State state, std::string detail) {
  metrics_.partition_serving.Set(state == Status::State::serving ? 1 : 0);
  const std::lock_guard lock{mutex_};
  status_ = {state, std::move(detail)};
}

void Writer::run(std::stop_token stop) {
  auto pause = retry_pause_first;
  while (!stop.stop_requested()) {
    try {
      claim_and_catch_up(stop);
      if (stop.stop_requested()) break;
      caught_up_.store(true, std::memory_order_release);
      set_status(Status::State::serving, {});
      pause = retry_pause_first;
      serve(stop);
    } catch (const Unavailable& problem) {
      spdlog::error("partition {}: {}; trying again", partition_, problem.what());
      set_status(Status::State::recovering, problem.what());
    } catch (const std::exception& problem) {
      spdlog::critical(
          "partition {}: {}. Nothing more is folded or written; reads go on. Don't delete the "
          "record: start a release that can read it, or restore the log from a backup",
          partition_, problem.what());
      set_status(Status::State::stopped, problem.what());
      refuse_all_queued();
      return;
    }
    refuse_all_queued();
    std::unique_lock lock{mutex_};
    queued_.wait_for(lock, stop, pause, [] { return false; });
    pause = std::min(pause * 2, retry_pause_max);
  }
  set_status(Status::State::recovering, "stopping");
  refuse_all_queued();
}

void Writer::claim_and_catch_up(std::stop_token stop) {
  set_status(Status::State::folding, "taking the partition");
  const std::uint64_t from = projector_.checkpoint().next_offset;
  // Before the claim: a claim record would make the log longer at each attempt, until it seemed
  // long enough.
  require_all_that_was_folded(log_.end_offset(partition_), from);
  const auto now = std::max(clock_(), projector_.checkpoint().last_time);
  claim_ = log_.claim(partition_, claim_proposal(now));
  metrics_.log_claims.Increment();
  require_all_that_was_folded(claim_.epoch, from);
  auto told = Clocked::now();
  const auto caught_up = [&](const Checkpoint& checkpoint) {
    if (Clocked::now() - told >= progress_interval) {
      told = Clocked::now();
      std::string detail = "folding: offset " + std::to_string(checkpoint.next_offset) + " of " +
                           std::to_string(claim_.epoch + 1);
      spdlog::info("partition {}: {}", partition_, detail);
      set_status(Status::State::folding, std::move(detail));
    }
    return checkpoint.next_offset > claim_.epoch;
  };
  if (!projector_.fold_until(caught_up, [](const auto&, const auto&) {}, stop)) return;
  if (projector_.checkpoint().claim != claim_.epoch) {
    throw LogUnavailable("another writer took the partition at once");
  }
  spdlog::info("partition {}: claimed at offset {}; folded {} records", partition_, claim_.epoch,
               claim_.epoch + 1 - std::min(from, claim_.epoch + 1));
}

void Writer::serve(std::stop_token stop) {
  for (;;) {
    std::vector<Submission> batch = take_batch(stop);
    if (batch.empty()) return;
    metrics_.batch_commands.Observe(static_cast<double>(batch.size()));
    process(std::move(batch));
  }
}

std::vector<Submission> Writer::take_batch(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  waiting_ = queue_.empty();
  queued_.wait(lock, stop, [this] { return !queue_.empty(); });
  waiting_ = false;
  const std::size_t count = std::min(queue_.size(), limits_.batch_commands_max);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Submission> batch{std::make_move_iterator(queue_.begin()),
                                std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  metrics_.queue_commands.Set(static_cast<double>(queue_.size()));
  return batch;
}

void Writer::process(std::vector<Submission> batch) {
  std::vector<Outcome> outcomes(batch.size(), Outcome{OutcomeUnknown{}});
  bool appended = false;
  try {
    BatchDecider decider{partition_, claim_, projector_, store_, clock_};
    for (const Submission& submission : batch) decider.decide(submission);
    const auto& events = decider.events();
    if (!events.empty()) {
      const auto started = Clocked::now();
      appended = true;
      const AppendResult result = log_.append(claim_, events);
      const std::chrono::duration<double> took = Clocked::now() - started;
      metrics_.log_append_seconds.Observe(took.count());
      if (result == AppendResult::fenced) {
        metrics_.log_fenced.Increment();
        appended = false;
        throw LogUnavailable("another writer has taken the partition");
      }
      if (result == AppendResult::unknown) {
        metrics_.log_unknown.Increment();
        throw LogUnavailable("the fate of a batch is unknown");
      }
      metrics_.log_events.Increment(static_cast<double>(events.size()));
      const domain::Stamp last = events.back().stamp;
      const auto done = [&](const Checkpoint& at) {
        return at.claim != last.claim || at.next_sequence > last.sequence;
      };
      std::size_t confirmed = 0;
      const auto confirm = [&](const domain::RecordedEvent& event,
                               const FoldBatch::Result& folded) {
        const bool ours = confirmed < events.size() && event.id == events[confirmed].id &&
                          event.stamp == events[confirmed].stamp &&
                          folded.admission == Admission::current;
        if (!ours) return;
        decider.confirm(folded);
        ++confirmed;
      };
      projector_.fold_until(done, confirm, {});
      if (confirmed != events.size()) {
        throw LogUnavailable("the log didn't keep a batch as it was written");
      }
    }
    outcomes = decider.outcomes();
  } catch (...) {
    if (!appended) outcomes.assign(batch.size(), Outcome{NotTaken{}});
    answer(batch, std::move(outcomes));
    throw;
  }
  answer(batch, std::move(outcomes));
}

void Writer::answer(std::vector<Submission>& batch, std::vector<Outcome> outcomes) {
  {
    const std::lock_guard lock{mutex_};
    for (const Submission& submission : batch) {
      if (submission.idempotency) in_progress_.erase(submission.idempotency->key);
    }
  }
  std::map<ReplySink*, std::vector<Reply>> replies;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    replies[batch[i].sink].push_back({batch[i].token, std::move(outcomes[i])});
  }
  for (auto& [sink, of_sink] : replies) sink->deliver(std::move(of_sink));
}

void Writer::refuse_all_queued() {
  std::vector<Submission> queued;
  {
    const std::lock_guard lock{mutex_};
    queued.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
    queue_.clear();
    metrics_.queue_commands.Set(0);
  }
  std::vector<Outcome> outcomes(queued.size(), Outcome{NotTaken{}});
  answer(queued, std::move(outcomes));
}

}  // namespace contactd::infra
