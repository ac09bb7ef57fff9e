#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <chrono>

#include "infra/contact_feed.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "infra/webhook_dispatcher.hpp"
#include "tests/infra/writer_fixture.hpp"

// The dispatcher over the real writer, database and journal. What it sends is answered when a test
// says so, and it is as late as a test says.
namespace contactd::test {

inline const std::string webhooks_master(infra::WebhookSecrets::master_bytes_min, 'm');

// Notes what it is given; the test answers.
class HeldSender final : public infra::WebhookSender {
 public:
  void send(infra::OutboundMessage message, std::function<void(infra::SendResult)> done) override {
    const auto event = boost::json::parse(message.body);
    const std::lock_guard lock{mutex_};
    sent_.push_back(message.to.target + ' ' +
                    boost::json::value_to<std::string>(event.at("subject")).substr(0, 3));
    done_.push_back(std::move(done));
    changed_.notify_all();
  }
  // What was sent, each "/path con", in the order of sending; once it is so much.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, answer_wait_max, [&] { return sent_.size() >= count; });
    return sent_;
  }
  // Answers the one that was sent as number `which`, from 0.
  void answer(std::size_t which, int status) { answer(which, infra::SendResult{status}); }
  void answer(std::size_t which, const infra::SendResult& result) {
    std::function<void(infra::SendResult)> done;
    {
      const std::lock_guard lock{mutex_};
      done = std::exchange(done_.at(which), nullptr);
    }
    done(result);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<std::string> sent_;
  std::vector<std::function<void(infra::SendResult)>> done_;
};

// The real one, but for a fault.
class FaultyJournal final : public infra::WebhookJournal {
 public:
  explicit FaultyJournal(const std::filesystem::path& directory)
      : real_(infra::open_webhook_journal(directory)) {}

  // The next remove_all() does this and fails.
  void on_remove_all(std::function<void()> fault) {
    const std::lock_guard lock{mutex_};
    fault_ = std::move(fault);
  }

  // The next find() fails, in a way that nobody expects of it.
  void fail_next_find() { find_fails_ = true; }
  bool find_has_failed() const { return !find_fails_; }

  // From now on nothing more is written.
  void refuse_puts() { full_ = true; }

  void put(const domain::WebhookId& webhook, const infra::WebhookDelivery& delivery) override {
    if (full_) throw infra::StoreUnavailable("a fault of the test's");
    real_->put(webhook, delivery);
  }
  void remove_all(const domain::WebhookId& webhook) override {
    std::function<void()> fault;
    {
      const std::lock_guard lock{mutex_};
      fault = std::exchange(fault_, nullptr);
    }
    if (!fault) return real_->remove_all(webhook);
    fault();
    throw infra::StoreUnavailable("a fault of the test's");
  }
  std::optional<infra::WebhookDelivery> find(const domain::WebhookId& webhook,
                                             std::uint64_t offset) const override {
    if (find_fails_.exchange(false)) throw std::runtime_error("a fault of the test's");
    return real_->find(webhook, offset);
  }
  std::vector<infra::WebhookDelivery> list(const domain::WebhookId& webhook,
                                           std::optional<std::uint64_t> before,
                                           std::size_t count) const override {
    return real_->list(webhook, before, count);
  }

 private:
  const std::unique_ptr<infra::WebhookJournal> real_;
  std::atomic<bool> full_ = false;
  mutable std::atomic<bool> find_fails_ = false;
  std::mutex mutex_;
  std::function<void()> fault_;  // guarded by mutex_
};

class WebhookDispatcherTest : public testing::Test {
 public:
  WebhookDispatcherTest() {
    writers_.push_back(std::make_unique<infra::Writer>(
        0, infra::Writer::Limits{}, *log_, *store_, metrics_, [] { return noon; }, &hub_));
    writers_[0]->start();
    writers_[0]->take();
    wait_until([&] { return writers_[0]->status().state == infra::Writer::Status::State::serving; },
               "the writer doesn't serve");
    start();
  }
  ~WebhookDispatcherTest() override {
    dispatchers_.back()->stop();
    writers_[0]->stop();
  }

 protected:
  // Instead of the one before, if there was one.
  void start(infra::WebhookDispatcher::Settings settings = {}) {
    settings.drain_max = std::chrono::milliseconds{0};  // what a test holds ends never
    settings.trouble_pause = std::chrono::milliseconds{1};
    if (!dispatchers_.empty()) dispatchers_.back()->stop();
    dispatchers_.push_back(std::make_unique<infra::WebhookDispatcher>(
        settings,
        infra::WebhookDispatcher::Parts{*store_, hub_, journal_, secrets_, sender_, metrics_,
                                        [this] { return domain::Instant{now_ms_ + set_ms_}; },
                                        [this] { return domain::Instant{now_ms_}; }}));
    dispatchers_.back()->start(writers_);
  }
  void submit(domain::Command command, std::string_view organization = "acme") {
    const auto refused = writers_[0]->submit({org(organization), std::move(command), "key1",
                                              "request", std::nullopt, &replies_, ++last_token_});
    EXPECT_FALSE(refused);
  }
  void run(domain::Command command, std::string_view organization = "acme") {
    submit(std::move(command), organization);
    writers_[0]->wake();
    replies_.wait_for(last_token_);
  }
  // Each is sent to /ID.
  void given_webhook(const domain::WebhookId& id, std::string_view organization = "acme",
                     const std::vector<std::string>& types = {}) {
    run(domain::CreateWebhook{id, {"https://x.io/" + id, "", types, true}, secrets_.mark()},
        organization);
  }
  void given_contact(const char* name, std::string_view organization = "acme") {
    run(domain::CreateContact{contact_id(name), {}}, organization);
  }
  void given_changed(const char* name, const std::string& company) {
    run(domain::UpdateContact{
        contact_id(name), {set(domain::Field::company, company)}, domain::AnyVersion{}});
  }
  // The webhook's deliveries in the order of their events, once so many attempts are noted.
  std::vector<infra::WebhookDelivery> deliveries(const domain::WebhookId& id,
                                                 std::size_t attempts) {
    std::vector<infra::WebhookDelivery> all;
    const auto count = [&] {
      std::size_t noted = 0;
      for (const infra::WebhookDelivery& delivery : all) noted += delivery.attempts.size();
      return noted;
    };
    wait_until(
        [&] {
          all = journal_.list(id, std::nullopt, infra::WebhookJournal::kept_max);
          return count() >= attempts;
        },
        "attempts aren't noted");
    EXPECT_EQ(count(), attempts);
    std::reverse(all.begin(), all.end());
    return all;
  }
  // To a webhook "a"; gives the event's offset.
  std::uint64_t given_delivered() {
    given_webhook("a");
    given_contact("ann");
    EXPECT_EQ(sender_.wait_for(1), std::vector<std::string>{"/a ann"});
    sender_.answer(0, 200);
    return deliveries("a", 1).at(0).offset;
  }
  infra::WebhookDispatcher::Replay replay(const domain::WebhookId& id, std::uint64_t offset) {
    return dispatchers_.back()->replay(*store_->webhook(org("acme"), id),
                                       *infra::read_feed_item(*store_, org("acme"), offset));
  }
  void enable(const domain::WebhookId& id, bool enabled) {
    run(domain::UpdateWebhook{id, {}, {}, {}, enabled});
  }
  void wait_for_endpoints(int count) {
    wait_until([&] { return metrics_.webhook_endpoints.Value() == count; },
               "it serves more endpoints, or fewer");
  }

  const TemporaryDirectory directory_;
  std::atomic<std::int64_t> now_ms_ = noon.unix_ms;
  std::atomic<std::int64_t> set_ms_ = 0;  // by how much the time of day was set
  const std::unique_ptr<infra::EventLog> log_ =
      infra::open_embedded_event_log(directory_.path() / "log");
  const std::unique_ptr<infra::ReadStore> store_ =
      infra::open_read_store(directory_.path() / "projections");
  infra::Metrics metrics_;
  infra::FeedHub hub_;
  FaultyJournal journal_{directory_.path() / "webhooks"};
  const infra::WebhookSecrets secrets_{webhooks_master};
  HeldSender sender_;
  Replies replies_;
  std::uint64_t last_token_ = 0;
  std::vector<std::unique_ptr<infra::Writer>> writers_;
  // Those before the last are stopped, but the writer may still answer them.
  std::vector<std::unique_ptr<infra::WebhookDispatcher>> dispatchers_;
};

}  // namespace contactd::test
