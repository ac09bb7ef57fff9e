#include "tests/infra/webhook_dispatcher_fixture.hpp"

// What the dispatcher sends, and when.
namespace contactd::test {
namespace {

using namespace infra;

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
  const std::uint64_t offset = given_delivered();
  enable("a", false);
  wait_for_endpoints(0);
  hub_.watch_webhooks(nullptr);  // who has enabled it may be answered before this is told
  enable("a", true);
  EXPECT_EQ(replay("a", offset), Replay::accepted);
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
}

TEST_F(WebhookDispatcherTest, SendsByHandAsSoonAsItHasStarted) {
  const std::uint64_t offset = given_delivered();
  start();
  EXPECT_EQ(replay("a", offset), Replay::accepted);
  EXPECT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a ann"}));
}

TEST_F(WebhookDispatcherTest, TakesNothingByHandOfAPartitionThatIsNotWrittenHere) {
  const std::uint64_t offset = given_delivered();
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
  given_contact("bob");  // what is sent now comes after the other's time was set
  ASSERT_EQ(sender_.wait_for(2), (Sent{"/a ann", "/a bob"}));
  set_ms_ = -hour_ms;
  now_ms_ = second.unix_ms;
  EXPECT_EQ(sender_.wait_for(3), (Sent{"/a ann", "/a bob", "/a ann"}));
  sender_.answer(2, 500);
  const auto twice_failed = [](const WebhookDelivery& one) { return one.failed == 2; };
  const auto all = deliveries("a", 2);
  const auto ann = std::ranges::find_if(all, twice_failed);
  ASSERT_NE(ann, all.end());
  EXPECT_LT(ann->next_attempt, second);  // as the time of day is now
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
