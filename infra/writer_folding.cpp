#include <algorithm>
#include <map>

#include "infra/batch_decider.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/writer.hpp"

// The folding thread, and what both threads do: fold, confirm, answer.
namespace contactd::infra {
namespace {

using namespace projections;

constexpr std::chrono::milliseconds follow_wait_max{200};
// While commands are served the log grows by them alone, unless another writer has taken it: how
// often a partition that is idle looks.
constexpr std::chrono::milliseconds idle_look_interval{200};
constexpr std::chrono::milliseconds retry_pause{100};
constexpr std::chrono::seconds fold_progress_interval{2};

// The webhook that the event has changed; none of those that say how far deliveries are.
std::optional<FeedHub::WebhookChange> webhook_change(const domain::RecordedEvent& event) {
  return std::visit(
      [&](const auto& fact) -> std::optional<FeedHub::WebhookChange> {
        using Fact = std::decay_t<decltype(fact)>;
        if constexpr (requires { fact.webhook; } &&
                      !std::is_same_v<Fact, domain::WebhookProgressed>) {
          return FeedHub::WebhookChange{event.organization, fact.webhook,
                                        std::is_same_v<Fact, domain::WebhookDeleted>};
        }
        return std::nullopt;
      },
      event.event);
}

}  // namespace

bool Writer::InFlight::complete() const { return confirmed == decider->events().size(); }

void Writer::follow(std::stop_token stop) {
  RepeatedFailure failing;
  while (!stop.stop_requested()) {
    try {
      if (wait_until_handed_over(stop)) {
        fold_what_was_handed_over();
      } else {
        follow_on();
      }
      failing.end();
      const std::lock_guard lock{mutex_};
      if (stopped_) return;
    } catch (const Unavailable& problem) {
      fail(std::current_exception());
      std::unique_lock lock{mutex_};
      if (!writing_) {  // else the writing thread says so
        if (failing.is_news(problem.what())) {
          spdlog::error("partition {}: {}; trying again", partition_, problem.what());
        }
        set_status(Status::State::recovering, problem.what());
      }
      to_fold_.wait_for(lock, stop, retry_pause, [] { return false; });
    } catch (const std::exception& problem) {
      stop_for_good(problem);
      return;
    }
  }
  keep_what_was_folded();
}

// False if commands aren't served, or if none are in flight: the log may be looked at.
bool Writer::wait_until_handed_over(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  if (!serving_) return false;
  to_fold_.wait_for(lock, stop, idle_look_interval, [this] { return handed_over_ || !serving_; });
  return serving_ && (handed_over_ || !in_flight_.empty());
}

void Writer::fold_what_was_handed_over() {
  for (;;) {
    std::uint64_t sequence = 0;
    {
      const std::lock_guard lock{mutex_};
      if (!handed_over_) return;
      sequence = committed_;
    }
    fold_to(sequence);
    const std::lock_guard lock{mutex_};
    if (committed_ == sequence) handed_over_ = false;
  }
}

void Writer::follow_on() {
  const bool folded = fold_next();
  if (records_left() > 0) look_what_is_left();
  std::unique_lock lock{mutex_};
  const Checkpoint at = folded_;
  const bool serving = serving_;
  const bool fenced = serving && at.claim != claim_.epoch;
  const bool theirs = ownership_ == Ownership::elsewhere;
  lock.unlock();
  if (theirs && records_left() == 0 && !caught_up()) catch_up_with_another();
  if (!fenced && (folded || serving)) return;
  if (fenced) {
    doubt();
    fail(std::make_exception_ptr(LogUnavailable("another writer has taken the partition")));
    return;
  }
  if (theirs) {
    lock.lock();
    if (!writing_ && caught_up()) set_following();
    lock.unlock();
  }
  log_.wait(partition_, at.next_offset, follow_wait_max);
}

// What is written after the first look doesn't count: another may go on for ever.
void Writer::look_what_is_left() {
  const std::uint64_t end = log_.end_offset(partition_);
  if (!first_end_) first_end_ = end;
  const std::lock_guard lock{mutex_};
  const std::uint64_t wanted = std::min(*first_end_, end);
  records_left_ = wanted - std::min(wanted, folding_at_);
}

void Writer::catch_up_with_another() {
  const std::lock_guard fold_lock{fold_mutex_};
  projector_.settle();
  const std::lock_guard lock{mutex_};
  folded_ = projector_.checkpoint();
  caught_up_.store(true, std::memory_order_release);
  if (!writing_) set_following();
}

bool Writer::fold_next() {
  try {
    const bool folded = fold_next_or_throw();
    const std::lock_guard lock{mutex_};
    if (std::exchange(cant_fold_, false)) to_write_.notify_all();
    return folded;
  } catch (const StoreUnavailable&) {
    const std::lock_guard lock{mutex_};
    cant_fold_ = true;
    throw;
  } catch (...) {
    const std::lock_guard lock{mutex_};
    cant_fold_ = false;
    to_write_.notify_all();
    throw;
  }
}

bool Writer::fold_next_or_throw() {
  const std::lock_guard fold_lock{fold_mutex_};
  // Before it has caught up nothing is in flight, and nobody reads.
  const bool folded = caught_up() ? fold_and_tell() : projector_.fold_far();
  if (!folded) return false;
  {
    const std::lock_guard lock{mutex_};
    folded_ = projector_.checkpoint();
    folding_at_ = projector_.position();
    if (serving_) return true;
    to_write_.notify_one();  // it may wait for its claim
  }
  if (!caught_up()) tell_progress();
  return true;
}

// Called with fold_mutex_ held.
bool Writer::fold_and_tell() {
  std::vector<domain::OrganizationId> followed;  // those that somebody may want to be told of
  std::vector<FeedHub::WebhookChange> webhooks;
  const auto tell = [&] {
    if (!webhooks.empty()) feed_hub_->tell_webhooks(webhooks);
    if (!followed.empty()) feed_hub_->tell(followed);
  };
  try {
    const bool folded = projector_.fold_next([&](const auto& event, const auto& result) {
      confirm(event, result);
      if (feed_hub_ == nullptr) return;
      if (auto change = webhook_change(event)) webhooks.push_back(*std::move(change));
      if (!feed_hub_->followed()) return;
      if (followed.empty() || followed.back() != event.organization) {
        followed.push_back(event.organization);
      }
    });
    tell();
    return folded;
  } catch (const projections::BrokenLog&) {
    tell();  // of what comes before, which is folded
    note_folded();
    throw;
  }
}

// Called with fold_mutex_ held.
void Writer::note_folded() {
  const std::lock_guard lock{mutex_};
  folded_ = projector_.checkpoint();
  folding_at_ = projector_.position();
}

// So that the next start begins there.
void Writer::keep_what_was_folded() {
  const std::lock_guard fold_lock{fold_mutex_};
  try {
    projector_.settle();
  } catch (const std::exception& problem) {
    spdlog::warn("partition {}: {}; the next start folds it again", partition_, problem.what());
  }
}

// A long log takes long to fold: says how far it is. Called with fold_mutex_ held.
void Writer::tell_progress() {
  const auto now = Clocked::now();
  if (now - told_ < fold_progress_interval) return;
  told_ = now;
  std::string detail = "folding: offset " + std::to_string(projector_.position()) + " of " +
                       std::to_string(log_.end_offset(partition_));
  spdlog::info("partition {}: {}", partition_, detail);
  const std::lock_guard lock{mutex_};
  if (status_.state == Status::State::folding) {
    set_status(Status::State::folding, std::move(detail));
  }
}

// Folds until the events of the claim up to `sequence` are. Throws LogUnavailable if the log
// doesn't show them, or not as they were appended; the claim must then be given up.
void Writer::fold_to(std::uint64_t sequence) {
  try {
    fold_to_or_throw(sequence);
  } catch (...) {
    fail(std::current_exception());
    throw;
  }
}

void Writer::fold_to_or_throw(std::uint64_t sequence) {
  auto patience_ends = Clocked::now() + limits_.read_back_wait_max;
  for (;;) {
    std::uint64_t next_offset = 0;
    {
      const std::lock_guard lock{mutex_};
      if (failure_) std::rethrow_exception(failure_);
      if (folded_.claim != claim_.epoch) {
        throw LogUnavailable("another writer has taken the partition");
      }
      if (folded_.next_sequence > sequence) {
        if (in_flight_.empty()) return;
        const auto& awaited = in_flight_.front().decider->events();
        if (awaited.back().stamp.sequence > sequence) return;
        throw LogUnavailable("the log didn't keep a batch as it was written");
      }
      next_offset = folded_.next_offset;
    }
    if (fold_next()) {
      patience_ends = Clocked::now() + limits_.read_back_wait_max;
    } else if (Clocked::now() >= patience_ends) {
      throw LogUnavailable("the log doesn't show what was committed to it; check the log's health");
    } else {
      log_.wait(partition_, next_offset, follow_wait_max);
    }
  }
}

std::unique_lock<std::mutex> Writer::hold_folding() {
  std::unique_lock held{fold_mutex_};
  projector_.settle();
  note_folded();
  return held;
}

// An event was folded: tells those who wait for it. Called with fold_mutex_ held.
void Writer::confirm(const domain::RecordedEvent& event, const FoldBatch::Result& folded) {
  std::vector<InFlight> complete;
  {
    const std::lock_guard lock{mutex_};
    if (in_flight_.empty()) return;
    InFlight& front = in_flight_.front();
    const domain::RecordedEvent& awaited = front.decider->events()[front.confirmed];
    if (event.stamp.claim != awaited.stamp.claim) return;
    if (folded.admission != Admission::current) {
      const auto& events = front.decider->events();
      const bool lost = std::any_of(events.begin(), events.end(),
                                    [&](const auto& one) { return one.id == event.id; });
      if (lost)
        failure_ = std::make_exception_ptr(
            LogUnavailable("the log didn't keep a batch as it was written"));
      return;
    }
    if (event.id != awaited.id || event.stamp != awaited.stamp) return;
    front.decider->confirm(folded);
    ++front.confirmed;
    complete = take_complete();
  }
  if (!complete.empty()) answer(std::move(complete));
}

// What is complete at the front, in order. Called with mutex_ held.
std::vector<Writer::InFlight> Writer::take_complete() {
  std::vector<InFlight> complete;
  while (!in_flight_.empty() && in_flight_.front().complete()) {
    complete.push_back(std::move(in_flight_.front()));
    in_flight_.pop_front();
  }
  if (!complete.empty()) to_write_.notify_one();
  return complete;
}

void Writer::answer(std::vector<InFlight> complete) {
  for (InFlight& one : complete) answer(one.batch, one.decider->outcomes());
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

// The writing thread is to give its claim up, and to try again.
void Writer::fail(std::exception_ptr failure) {
  const std::lock_guard lock{mutex_};
  if (!failure_) failure_ = std::move(failure);
  handed_over_ = false;
  to_write_.notify_all();
}

// Called in the handler of `problem`.
void Writer::stop_for_good(const std::exception& problem) {
  {
    const std::lock_guard lock{mutex_};
    if (stopped_) return;
    set_status(Status::State::stopped, problem.what());
    stopped_ = true;
    failure_ = std::current_exception();
    to_write_.notify_all();
    to_fold_.notify_all();
  }
  spdlog::critical("partition {}: {}. Nothing more is folded or written{}", partition_,
                   problem.what(), caught_up() ? "; reads go on" : "");
}

}  // namespace contactd::infra
