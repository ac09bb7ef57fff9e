#include "tests/api/webhook_delivery.hpp"

// When what has failed is sent again, by the schedule and by hand.
namespace contactd::test {
namespace {

class WebhookSchedule : public WebhookDelivery {
 protected:
  // An event that has failed, and is all that its webhook has, waits for its time as before.
  void expect_schedule_to_outlast(const std::function<void(const Hook&)>& interruption) {
    server.stop();
    // The second attempt is due after two and a half seconds, the third as many minutes later.
    restart({delivering_flags("0.5"), {}});
    const Hook hook = given_webhook(receiver.url());
    receiver.answer_status(500);
    user.given_contact();
    const json::array before = wait_for_deliveries(hook, [](const json::array& all) {
      return all.size() == 1 && all[0].at("attempts").as_array().size() == 2;
    });
    interruption(hook);
    receiver.answer_status(204);
    // The event after it was sent: so it was looked at, too.
    user.given_contact();
    const json::array after = wait_for_deliveries(hook, [](const json::array& all) {
      return all.size() == 2 && all[0].at("state") == "delivered";
    });
    EXPECT_EQ(after.back(), before.back());
    EXPECT_EQ(receiver.received().size(), 3U);
  }
};

TEST_F(WebhookSchedule, ContinuesItsScheduleAfterAStop) {
  expect_schedule_to_outlast([&](const Hook&) {
    EXPECT_EQ(server.stop(), exited(0));
    restart();
  });
}

TEST_F(WebhookSchedule, ContinuesItsScheduleAfterAKill) {
  expect_schedule_to_outlast([&](const Hook&) {
    server.kill();
    restart();
  });
}

TEST_F(WebhookSchedule, ContinuesItsScheduleOnceItIsEnabledAgain) {
  expect_schedule_to_outlast([&](const Hook& hook) {
    user.send("PATCH", path_of(hook), {}, R"({"enabled": false})").then(200);
    user.send("PATCH", path_of(hook), {}, R"({"enabled": true})").then(200);
  });
}

TEST_F(WebhookSchedule, Ends410AndGoesOnWhereItStopped) {
  const Hook hook = given_webhook(receiver.url());
  receiver.answer_status(410);
  const Contact ann = user.given_contact();
  ASSERT_TRUE(eventually(
      [&] { return user.send("GET", path_of(hook)).then(200).data().at("enabled") == false; },
      WebhookReceiver::delivery_wait_max));
  user.send("GET", path_of(hook)).then(200).with_field("disabled_reason", "gone");
  user.given_patched(ann.id, R"({"company": "A"})");
  const std::size_t before = receiver.received().size();
  EXPECT_EQ(before, 1U);
  receiver.answer_status(200);
  user.send("PATCH", path_of(hook), {}, R"({"enabled": true})")
      .then(200)
      .with_field("disabled_reason", nullptr);
  ASSERT_TRUE(receiver.wait_for_accepted(2));
  expect_all_in_order(receiver.accepted(), {ann}, 2);
}

TEST_F(WebhookSchedule, GivesUpAfterTheSchedule) {
  server.stop();
  auto flags = delivering_flags();
  flags.back() = "0";
  restart({flags, {}});
  const Hook hook = given_webhook(receiver.url());
  receiver.answer([](const Received& request) -> std::string {
    return version_of(request) == 1 ? "HTTP/1.1 500 X\r\n\r\n" : "HTTP/1.1 200 X\r\n\r\n";
  });
  const Contact ann = user.given_contact();
  user.given_patched(ann.id, R"({"company": "A"})");
  ASSERT_TRUE(receiver.wait_for_accepted(1));
  const auto seen = wait_for_deliveries(hook, [](const json::array& all) {
    return all.size() == 2 && all[0].at("state") == "delivered";
  });
  EXPECT_EQ(seen[1].at("state"), "given_up");
  EXPECT_EQ(seen[1].at("attempts").as_array().size(), 10U);
  EXPECT_EQ(receiver.received().size(), 11U);
}

TEST_F(WebhookSchedule, IsReplayedByHand) {
  const Hook hook = given_webhook(receiver.url());
  user.given_contact();
  const auto seen = wait_for_deliveries(hook, [](const json::array& all) {
    return all.size() == 1 && all[0].at("state") == "delivered";
  });
  const std::string id = text_of(seen[0].at("id"));
  user.send("POST", path_of(hook) + "/deliveries/" + id + "/replay")
      .then(202)
      .with_member("id", id);
  ASSERT_TRUE(receiver.wait_for_accepted(2));
  const auto requests = receiver.accepted();
  EXPECT_EQ(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
  EXPECT_EQ(requests[0].body, requests[1].body);
  const auto twice = wait_for_deliveries(
      hook, [](const json::array& all) { return all[0].at("attempts").as_array().size() == 2; });
  EXPECT_EQ(twice[0].at("attempts").at(1).at("manual"), true);

  user.send("PATCH", path_of(hook), {}, R"({"enabled": false})").then(200);
  user.send("POST", path_of(hook) + "/deliveries/" + id + "/replay").then(409);
}

TEST_F(WebhookSchedule, ByHandCostsNoneOfTheSchedulesAttempts) {
  server.stop();
  restart({delivering_flags("0.2"), {}});  // the third attempt is due a minute after the second
  receiver.answer_status(500);
  const Hook hook = given_webhook(receiver.url());
  user.given_contact();
  const auto tried = [&](std::size_t times) {
    return wait_for_deliveries(hook, [times](const json::array& all) {
      return !all.empty() && all[0].at("attempts").as_array().size() == times;
    });
  };
  const json::value before = tried(2).front();
  const auto replay = path_of(hook) + "/deliveries/" + text_of(before.at("id")) + "/replay";
  for (std::size_t times = 3; times <= 12; ++times) {
    user.send("POST", replay).then(202);
    const json::value now = tried(times).front();
    EXPECT_EQ(now.at("next_attempt_at"), before.at("next_attempt_at"));
    EXPECT_EQ(now.at("attempts").at(times - 1).at("manual"), true);
  }
  receiver.answer_status(204);
  user.send("POST", replay).then(202);
  EXPECT_EQ(tried(13).front().at("state"), "delivered");
}

}  // namespace
}  // namespace contactd::test
