#include "infra/webhook_dispatcher.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <chrono>

#include "infra/contact_feed.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "tests/infra/writer_fixture.hpp"

// The dispatcher over the real writer, database and journal. What it sends is answered when a test
// says so, and it is as late as a test says.
namespace contactd::test {
namespace {

using namespace infra;

const std::string webhooks_master(WebhookSecrets::master_bytes_min, 'm');

// Notes what it is given; the test answers.
class HeldSender final : public WebhookSender {
 public:
  void send(OutboundMessage message, std::function<void(SendResult)> done) override {
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
  void answer(std::size_t which, int status) { answer(which, SendResult{status}); }
  void answer(std::size_t which, const SendResult& result) {
    std::function<void(SendResult)> done;
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
  std::vector<std::function<void(SendResult)>> done_;
};

// The real one, but for a fault.
class FaultyJournal final : public WebhookJournal {
 public:
  explicit FaultyJournal(const std::filesystem::path& directory)
      : real_(open_webhook_journal(directory)) {}

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

  void put(const domain::WebhookId& webhook, const WebhookDelivery& delivery) override {
    if (full_) throw StoreUnavailable("a fault of the test's");
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
    throw StoreUnavailable("a fault of the test's");
  }
  std::optional<WebhookDelivery> find(const domain::WebhookId& webhook,
                                      std::uint64_t offset) const override {
    if (find_fails_.exchange(false)) throw std::runtime_error("a fault of the test's");
    return real_->find(webhook, offset);
  }
  std::vector<WebhookDelivery> list(const domain::WebhookId& webhook,
                                    std::optional<std::uint64_t> before,
                                    std::size_t count) const override {
    return real_->list(webhook, before, count);
  }

 private:
  const std::unique_ptr<WebhookJournal> real_;
  std::atomic<bool> full_ = false;
  mutable std::atomic<bool> find_fails_ = false;
  std::mutex mutex_;
  std::function<void()> fault_;  // guarded by mutex_
};

class WebhookDispatcherTest : public testing::Test {
 public:
  WebhookDispatcherTest() {
    writers_.push_back(std::make_unique<Writer>(
        0, Writer::Limits{}, *log_, *store_, metrics_, [] { return noon; }, &hub_));
    writers_[0]->start();
    writers_[0]->take();
    wait_until([&] { return writers_[0]->status().state == Writer::Status::State::serving; },
               "the writer doesn't serve");
    start();
  }
  ~WebhookDispatcherTest() override {
    dispatchers_.back()->stop();
    writers_[0]->stop();
  }

 protected:
  // Instead of the one before, if there was one.
  void start(WebhookDispatcher::Settings settings = {}) {
    settings.drain_max = std::chrono::milliseconds{0};  // what a test holds ends never
    settings.trouble_pause = std::chrono::milliseconds{1};
    if (!dispatchers_.empty()) dispatchers_.back()->stop();
    dispatchers_.push_back(std::make_unique<WebhookDispatcher>(
        settings, WebhookDispatcher::Parts{*store_, hub_, journal_, secrets_, sender_, metrics_,
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
  std::vector<WebhookDelivery> deliveries(const domain::WebhookId& id, std::size_t attempts) {
    std::vector<WebhookDelivery> all;
    const auto count = [&] {
      std::size_t noted = 0;
      for (const WebhookDelivery& delivery : all) noted += delivery.attempts.size();
      return noted;
    };
    wait_until(
        [&] {
          all = journal_.list(id, std::nullopt, WebhookJournal::kept_max);
          return count() >= attempts;
        },
        "attempts aren't noted");
    EXPECT_EQ(count(), attempts);
    std::reverse(all.begin(), all.end());
    return all;
  }
  WebhookDispatcher::Replay replay(const domain::WebhookId& id, std::uint64_t offset) {
    return dispatchers_.back()->replay(*store_->webhook(org("acme"), id),
                                       *read_feed_item(*store_, org("acme"), offset));
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
  const std::unique_ptr<EventLog> log_ = open_embedded_event_log(directory_.path() / "log");
  const std::unique_ptr<ReadStore> store_ = open_read_store(directory_.path() / "projections");
  Metrics metrics_;
  FeedHub hub_;
  FaultyJournal journal_{directory_.path() / "webhooks"};
  const WebhookSecrets secrets_{webhooks_master};
  HeldSender sender_;
  Replies replies_;
  std::uint64_t last_token_ = 0;
  std::vector<std::unique_ptr<Writer>> writers_;
  // Those before the last are stopped, but the writer may still answer them.
  std::vector<std::unique_ptr<WebhookDispatcher>> dispatchers_;
};

using Sent = std::vector<std::string>;
using Replay = WebhookDispatcher::Replay;

TEST_F(WebhookDispatcherTest, LetsGoOfAPartitionThatItLosesInTrouble) {
  given_webhook("a");
  given_webhook("b");
  wait_for_endpoints(2);
  journal_.on_remove_all([&] { writers_[0]->give_up(Ownership::elsewhere); });
  run(domain::DeleteWebhook{"a"});
  wait_for_endpoints(0);
}

TEST_F(WebhookDispatcherTest, LetsGoOfWhatIsDeletedInTrouble) {
  for (const char* id : {"a", "b", "c"}) given_webhook(id);
  wait_for_endpoints(3);
  journal_.on_remove_all([] {});
  run(domain::DeleteWebhook{"a"});
  run(domain::DeleteWebhook{"b"});
  wait_for_endpoints(1);
  given_contact("ann");
  EXPECT_EQ(sender_.wait_for(1), (Sent{"/c ann"}));
}

TEST_F(WebhookDispatcherTest, KeepsNoDeliveriesOfWhatWasDisabledAndThenDeleted) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 200);
  deliveries("a", 1);
  enable("a", false);
  wait_for_endpoints(0);
  run(domain::DeleteWebhook{"a"});
  wait_until([&] { return journal_.list("a", std::nullopt, 1).empty(); },
             "its deliveries are still there");
}

TEST_F(WebhookDispatcherTest, LosesNothingPendingWhereItCannotBeReadAtFirst) {
  given_webhook("a");
  for (const char* name : {"ann", "bob", "cid"}) given_contact(name);
  ASSERT_EQ(sender_.wait_for(3).size(), 3U);
  sender_.answer(0, 500);
  sender_.answer(1, 500);
  sender_.answer(2, 200);
  const auto failed = deliveries("a", 3);
  wait_until([&] { return store_->webhook(org("acme"), "a")->pending.size() == 2; },
             "the progress isn't written");
  journal_.fail_next_find();
  start();
  wait_until([&] { return journal_.find_has_failed(); }, "nothing pending was read");
  now_ms_ = std::max(failed.at(0).next_attempt, failed.at(1).next_attempt).unix_ms;
  Sent sent = sender_.wait_for(5);
  std::sort(sent.begin() + 3, sent.end());
  EXPECT_EQ(sent, (Sent{"/a ann", "/a bob", "/a cid", "/a ann", "/a bob"}));
}

TEST_F(WebhookDispatcherTest, SendsOnAfterAnEventThatCouldNotBeRead) {
  given_webhook("a");
  wait_for_endpoints(1);
  journal_.fail_next_find();
  given_contact("ann");
  wait_until([&] { return journal_.find_has_failed(); }, "nothing was read");
  wait_until(
      [&] {
        ++now_ms_;  // past the pause
        return sender_.wait_for(0) == Sent{"/a ann"};
      },
      "it isn't sent");
}

TEST_F(WebhookDispatcherTest, ContinuesTheScheduleOfAnEventThatIsReadOnceMore) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 500);
  const domain::Instant second = deliveries("a", 1).at(0).next_attempt;
  start();
  given_contact("bob");
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a bob"}));
  now_ms_ = second.unix_ms;
  EXPECT_EQ(sender_.wait_for(3), (Sent{"/a ann", "/a bob", "/a ann"}));
}

TEST_F(WebhookDispatcherTest, GivesUpInTheEndWhereTheJournalCannotBeWritten) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 500);
  deliveries("a", 1);
  journal_.refuse_puts();
  for (std::size_t retry = 1; retry <= std::size(webhook_retry_delays); ++retry) {
    // The answer before may not have been looked at yet, so that its pause begins later.
    wait_until(
        [&] {
          now_ms_ += std::chrono::milliseconds{std::chrono::hours{48}}.count();  // past any pause
          return sender_.wait_for(0).size() > retry;
        },
        "it isn't sent again");
    sender_.answer(retry, 500);
  }
  wait_until([&] { return metrics_.webhook_given_up.Value() == 1; }, "it isn't given up");
}

TEST_F(WebhookDispatcherTest, NotesWhatIsUnderWayWhenTheEndpointSaysThatItIsGone) {
  given_webhook("a");
  for (const char* name : {"ann", "bob", "cid"}) given_contact(name);
  ASSERT_EQ(sender_.wait_for(3), (Sent{"/a ann", "/a bob", "/a cid"}));
  for (std::size_t i = 0; i < 3; ++i) sender_.answer(i, 500);
  const auto failed = deliveries("a", 3);
  wait_for_endpoints(1);
  for (const WebhookDelivery& delivery : failed) {
    EXPECT_EQ(replay("a", delivery.offset), Replay::accepted);
  }
  ASSERT_EQ(sender_.wait_for(6).size(), 6U);
  sender_.answer(3, 410);
  wait_for_endpoints(0);
  sender_.answer(4, 410);
  sender_.answer(5, 500);
  const auto noted = deliveries("a", 6);
  // The first two are due once it is enabled again; the last was by hand, and costs nothing.
  EXPECT_EQ(noted.at(0).next_attempt, noon);
  EXPECT_EQ(noted.at(1).next_attempt, noon);
  EXPECT_EQ(noted.at(2).next_attempt, failed.at(2).next_attempt);
  enable("a", true);
  Sent sent = sender_.wait_for(8);
  sent.erase(sent.begin(), sent.begin() + 6);
  EXPECT_EQ(sent, (Sent{"/a ann", "/a bob"}));
  now_ms_ = failed.at(2).next_attempt.unix_ms;
  EXPECT_EQ(sender_.wait_for(9).back(), "/a cid");
}

TEST_F(WebhookDispatcherTest, LeavesTheScheduleToTheEndpointThatIsEnabledAgain) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1).size(), 1U);
  wait_for_endpoints(1);
  enable("a", false);
  wait_for_endpoints(0);
  enable("a", true);
  ASSERT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
  sender_.answer(0, 500);
  EXPECT_EQ(deliveries("a", 1).at(0).failed, 0U);
  sender_.answer(1, 500);
  EXPECT_EQ(deliveries("a", 2).at(0).failed, 1U);
}

TEST_F(WebhookDispatcherTest, SendsByHandAsSoonAsTheEndpointIsEnabled) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 200);
  const std::uint64_t offset = deliveries("a", 1).at(0).offset;
  enable("a", false);
  wait_for_endpoints(0);
  hub_.watch_webhooks(nullptr);  // who has enabled it may be answered before this is told
  enable("a", true);
  EXPECT_EQ(replay("a", offset), Replay::accepted);
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
}

TEST_F(WebhookDispatcherTest, SendsByHandAsSoonAsItHasStarted) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 200);
  const std::uint64_t offset = deliveries("a", 1).at(0).offset;
  start();
  EXPECT_EQ(replay("a", offset), Replay::accepted);
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
}

TEST_F(WebhookDispatcherTest, TakesNothingByHandOfAPartitionThatIsNotWrittenHere) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 200);
  const std::uint64_t offset = deliveries("a", 1).at(0).offset;
  writers_[0]->give_up(Ownership::unknown);
  EXPECT_EQ(replay("a", offset), Replay::not_now);
}

TEST_F(WebhookDispatcherTest, WaitsAsLongAsItIsAskedToButNoShorterThanItsScheduleSays) {
  given_webhook("a");
  given_contact("ann");
  given_contact("bob");
  ASSERT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a bob"}));
  SendResult busy{503};
  busy.retry_after = std::chrono::hours{1};
  sender_.answer(0, busy);
  busy.retry_after = std::chrono::seconds{1};
  sender_.answer(1, busy);
  const auto failed = deliveries("a", 2);
  EXPECT_EQ(failed.at(0).next_attempt, after(hour_ms));
  EXPECT_GE(failed.at(1).next_attempt, after(5'000));
}

TEST_F(WebhookDispatcherTest, KeepsItsScheduleWhereTheTimeOfDayIsSetBack) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 500);
  const domain::Instant second = deliveries("a", 1).at(0).next_attempt;
  set_ms_ = -hour_ms;
  now_ms_ = second.unix_ms;
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
  sender_.answer(1, 500);
  EXPECT_LT(deliveries("a", 2).at(0).next_attempt, second);  // as the time of day is now
}

TEST_F(WebhookDispatcherTest, SendsNoMoreAtOnceByHandThanByItself) {
  WebhookDispatcher::Settings settings;
  settings.endpoint_in_flight_max = 2;
  start(settings);
  given_webhook("a");
  given_webhook("other", "other");
  std::vector<std::uint64_t> offsets;
  for (const char* name : {"ann", "bob", "cid", "dan"}) {
    given_contact(name);
    sender_.wait_for(offsets.size() + 1);
    sender_.answer(offsets.size(), 200);
    offsets.push_back(deliveries("a", offsets.size() + 1).back().offset);
  }
  for (const std::uint64_t offset : offsets) EXPECT_EQ(replay("a", offset), Replay::accepted);
  given_contact("zed", "other");  // is told of after all of these
  EXPECT_EQ(sender_.wait_for(7),
            (Sent{"/a ann", "/a bob", "/a cid", "/a dan", "/a ann", "/a bob", "/other zed"}));
  sender_.answer(4, 200);
  EXPECT_EQ(sender_.wait_for(8).back(), "/a cid");
  sender_.answer(5, 500);
  EXPECT_EQ(sender_.wait_for(9).back(), "/a dan");
}

TEST_F(WebhookDispatcherTest, LeavesRoomForTheDeliveriesOfOtherOrganizations) {
  WebhookDispatcher::Settings settings;
  settings.in_flight_max = 3;
  settings.organization_in_flight_max = 2;
  start(settings);
  given_webhook("a");
  given_webhook("b");
  given_webhook("other", "other");
  given_contact("ann");
  Sent first = sender_.wait_for(2);
  std::ranges::sort(first);  // endpoints are served in no order
  ASSERT_EQ(first, (Sent{"/a ann", "/b ann"}));
  given_contact("bob");
  given_contact("cid", "other");
  EXPECT_EQ(sender_.wait_for(3).back(), "/other cid");
  // Room for one more of them.
  sender_.answer(0, 500);
  EXPECT_TRUE(sender_.wait_for(4).back().ends_with(" bob"));
}

TEST_F(WebhookDispatcherTest, SendsOnHoweverManyChangesAreBehindAContactThatFails) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  sender_.answer(0, 500);
  const domain::Instant second = deliveries("a", 1).at(0).next_attempt;
  constexpr std::size_t changes = domain::webhook_pending_max + 20;
  for (std::size_t i = 0; i < changes; ++i) given_changed("ann", std::to_string(i));
  given_contact("bob");
  ASSERT_EQ(sender_.wait_for(2).back(), "/a bob");
  sender_.answer(1, 200);
  wait_until([&] { return store_->webhook(org("acme"), "a")->pending.size() == 1; },
             "the progress isn't written");
  start();  // what is behind survives
  now_ms_ = second.unix_ms;
  for (std::size_t i = 2; i < changes + 3; ++i) {
    ASSERT_EQ(sender_.wait_for(i + 1).back(), "/a ann");
    sender_.answer(i, 200);
  }
  domain::Version version = 0;
  for (const WebhookDelivery& delivery : deliveries("a", changes + 3)) {
    if (delivery.contact != contact_id("ann")) continue;
    EXPECT_EQ(delivery.version, ++version);
  }
  EXPECT_EQ(version, changes + 1);
}

TEST_F(WebhookDispatcherTest, FindsWhatIsFarBehind) {
  given_webhook("a", "acme", {"contactd.contact.updated.v1"});
  given_contact("ann");
  given_changed("ann", "1");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  // More than are looked at in one go.
  for (int i = 0; i < 2'500; ++i) {
    submit(domain::CreateContact{contact_id("c" + std::to_string(10'000 + i)), {}});
  }
  given_changed("ann", "2");
  given_contact("bob");
  given_changed("bob", "1");
  ASSERT_EQ(sender_.wait_for(2).back(), "/a bob");  // so all before it was read
  sender_.answer(0, 200);
  EXPECT_EQ(sender_.wait_for(3).back(), "/a ann");
}

TEST_F(WebhookDispatcherTest, SendsWhatIsBehindOnceTheEventBeforeWasDeliveredByHand) {
  given_webhook("a");
  given_contact("ann");
  ASSERT_EQ(sender_.wait_for(1), Sent{"/a ann"});
  given_changed("ann", "1");
  given_contact("bob");  // so that the change was read
  ASSERT_EQ(sender_.wait_for(2).back(), "/a bob");
  sender_.answer(0, 500);
  const auto failed = deliveries("a", 1);
  EXPECT_EQ(replay("a", failed.at(0).offset), Replay::accepted);
  ASSERT_EQ(sender_.wait_for(3).back(), "/a ann");
  sender_.answer(2, 200);
  EXPECT_EQ(sender_.wait_for(4).back(), "/a ann");
}

}  // namespace
}  // namespace contactd::test
