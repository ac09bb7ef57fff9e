#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "infra/embedded_event_log.hpp"
#include "infra/writer.hpp"
#include "tests/infra/faulty_log.hpp"
#include "tests/infra/shared_log.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/fold_rest.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {

// Longer than anything here takes on a machine that is busy; only a failure waits for it.
inline constexpr std::chrono::seconds answer_wait_max{30};

// Lets other threads run until `holds()`.
template <class Condition>
void wait_until(const Condition& holds, const char* what) {
  const auto deadline = std::chrono::steady_clock::now() + answer_wait_max;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(what);
    std::this_thread::yield();
  }
}

// Keeps the replies until somebody asks for them.
class Replies final : public infra::ReplySink {
 public:
  void deliver(std::vector<infra::Reply> replies) override {
    const std::lock_guard lock{mutex_};
    ++deliveries_;
    for (infra::Reply& reply : replies) {
      if (!outcomes_.emplace(reply.token, std::move(reply.outcome)).second) {
        ADD_FAILURE() << "answered twice: " << reply.token;
      }
    }
    arrived_.notify_all();
  }
  infra::Outcome wait_for(std::uint64_t token) {
    std::unique_lock lock{mutex_};
    if (!arrived_.wait_for(lock, answer_wait_max, [&] { return outcomes_.contains(token); })) {
      throw std::runtime_error("no reply to command " + std::to_string(token));
    }
    return outcomes_.at(token);
  }
  std::size_t count() {
    const std::lock_guard lock{mutex_};
    return outcomes_.size();
  }
  std::size_t deliveries() {
    const std::lock_guard lock{mutex_};
    return deliveries_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::uint64_t, infra::Outcome> outcomes_;
  std::size_t deliveries_ = 0;
};

// A door that an append waits at: commands submitted meanwhile become one batch.
class Gate {
 public:
  FaultyLog::OnAppend as_fault() {
    return [this](infra::EventLog& log, const infra::Claim& claim, FaultyLog::Batch batch) {
      pass();
      return log.append(claim, batch);
    };
  }
  void pass() {
    entered_.set_value();
    if (opened_.get_future().wait_for(answer_wait_max) != std::future_status::ready) {
      throw std::runtime_error("nobody opened the gate");
    }
  }
  void wait_until_entered() {
    if (entered_.get_future().wait_for(answer_wait_max) != std::future_status::ready) {
      throw std::runtime_error("nobody came to the gate");
    }
  }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> opened_;
};

// A writer over the embedded log and the real database, in directories of their own.
class WriterTest : public testing::Test {
 public:
  ~WriterTest() override { stop(); }

 protected:
  using Answer = decltype(infra::Outcome::answer);
  using State = infra::Writer::Status::State;

  // Opens both directories, creating what isn't there, without starting the writer.
  void open() {
    log_ = std::make_unique<FaultyLog>(infra::open_embedded_event_log(log_path()));
    store_ = infra::open_read_store(store_path());
    metrics_ = std::make_unique<infra::Metrics>();
  }
  void start(infra::Writer::Limits limits = {}) {
    if (log_ == nullptr) open();
    writer_ = std::make_unique<infra::Writer>(0, limits, *log_, *store_, *metrics_,
                                              [this] { return domain::Instant{now_ms_}; });
    writer_->start();
    writer_->take();
    wait_until_serving();
  }
  // Stops the writer and closes both directories.
  void stop() {
    if (writer_ != nullptr) writer_->stop();
    writer_.reset();
    store_.reset();
    log_.reset();
  }
  void wait_until(State state, const char* what) {
    test::wait_until([&] { return writer_->status().state == state; }, what);
  }
  void wait_until_serving() { wait_until(State::serving, "the writer doesn't serve"); }
  // A client learns that an outcome is unknown before the writer has left its old claim: to see
  // what came of it, wait for the `count`-th claim since the start.
  void wait_for_claim(int count) {
    test::wait_until([&] { return metrics_->log_claims.Value() >= count; }, "it doesn't claim");
    wait_until_serving();
  }

  std::filesystem::path log_path() const { return directory_.path() / "log"; }
  std::filesystem::path store_path() const { return directory_.path() / "projections"; }

 public:  // called on what with_key() and in() return
  // The next command is this organization's, and under this idempotency key.
  WriterTest& in(std::string_view organization) {
    organization_ = org(organization);
    return *this;
  }
  WriterTest& with_key(std::uint8_t key, std::uint8_t request = 1) {
    idempotency_ = domain::IdempotencyStamp{digest(key), digest(request)};
    return *this;
  }
  // The commands from here on came with requests of so many bytes.
  void send_bytes(std::size_t bytes) { bytes_ = bytes; }
  std::optional<infra::Refusal> try_submit(domain::Command command) {
    const auto idempotency = std::exchange(idempotency_, std::nullopt);
    auto refusal = writer_->submit({organization_, std::move(command), "key1", "request",
                                    idempotency, &replies_, ++last_token_, bytes_});
    writer_->wake();
    return refusal;
  }
  std::uint64_t last_token() const { return last_token_; }
  // Returns the token to ask for the outcome with.
  std::uint64_t submit(domain::Command command) {
    const auto refusal = try_submit(std::move(command));
    if (refusal) ADD_FAILURE() << "refused: " << static_cast<int>(*refusal);
    return last_token_;
  }
  infra::Outcome outcome_of(std::uint64_t token) { return replies_.wait_for(token); }
  infra::Outcome run(domain::Command command) { return outcome_of(submit(std::move(command))); }

 protected:
  // The expected kind of answer; throws if it is another.
  template <class Kind>
  static Kind as(const infra::Outcome& outcome) {
    if (const auto* answer = std::get_if<Kind>(&outcome.answer)) return *answer;
    throw std::runtime_error("an answer of kind " + std::to_string(outcome.answer.index()));
  }
  template <class Kind>
  static bool is(const infra::Outcome& outcome) {
    return std::holds_alternative<Kind>(outcome.answer);
  }
  static domain::Rejection rejection(const infra::Outcome& outcome) {
    return as<domain::Rejection>(outcome);
  }

  static domain::CreateContact create(const char* name, std::string_view email = {}) {
    domain::CreateContact command{contact_id(name), {}};
    if (!email.empty()) command.values.push_back(set(domain::Field::email, email));
    return command;
  }
  static domain::UpdateContact update(const char* name, domain::ContactPatch patch,
                                      domain::Precondition if_match = domain::AnyVersion{}) {
    return {contact_id(name), std::move(patch), std::move(if_match)};
  }
  static domain::DeleteContact remove(const char* name) { return {contact_id(name), {}}; }

  // Holds the writer within an append of one command, so that all that `submit_all` submits is
  // one batch; then lets go.
  template <class SubmitAll>
  void as_one_batch(const SubmitAll& submit_all) {
    Gate gate;
    log_->on_append(gate.as_fault());
    const std::string name = "hold" + std::to_string(last_token_);
    const auto first = submit(domain::CreateContact{contact_id(name), {}});
    gate.wait_until_entered();
    submit_all();
    gate.open();
    outcome_of(first);
  }

  // As a reader sees it; null if it isn't there.
  std::shared_ptr<const projections::ContactView> stored(const char* name) {
    auto row = store_->contact_row(organization_, contact_id(name));
    if (!row) return nullptr;
    return std::make_shared<const projections::ContactView>(
        projections::read_contact(*std::move(row)));
  }
  std::uint64_t log_end() { return log_->end_offset(0); }

  // Folds the log into a new database, without a writer, and gives its rows.
  std::vector<std::string> folded_anew() {
    const TemporaryDirectory directory;
    const auto store = infra::open_read_store(directory.path());
    infra::Metrics metrics;
    SharedLog log{log_->real()};
    infra::Projector projector{0, log, *store, metrics};
    fold_rest(projector);
    return lines_of(*store);
  }

  const TemporaryDirectory directory_;
  std::atomic<std::int64_t> now_ms_ = noon.unix_ms;
  Replies replies_;
  std::unique_ptr<infra::Metrics> metrics_;
  std::unique_ptr<FaultyLog> log_;
  std::unique_ptr<infra::ReadStore> store_;
  std::unique_ptr<infra::Writer> writer_;

 private:
  domain::OrganizationId organization_ = org("acme");
  std::optional<domain::IdempotencyStamp> idempotency_;
  std::size_t bytes_ = 0;
  std::uint64_t last_token_ = 0;
};

}  // namespace contactd::test
