#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/api/webhook_delivery.hpp"
#include "tests/support/node_program.hpp"

// What webhooks are sent, by the real server to a real endpoint: signed, in order, at least once,
// and to nobody who shouldn't be asked.
namespace contactd::test {
namespace {

TEST_F(WebhookDelivery, SendsEachEventAsACloudEvent) {
  const Contact before = user.given_contact();
  given_webhook(receiver.url("/hook?a=b"));
  const Contact ann = user.given_contact(R"({"first_name": "Ann"})");
  user.given_patched(ann.id, R"({"company": "Acme"})");
  user.remove(ann.id).then(200);
  ASSERT_TRUE(receiver.wait_for_accepted(3));

  const auto requests = receiver.accepted();
  const std::vector<std::string_view> types = {created_type, updated_type, deleted_type};
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Received& request = requests[i];
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/hook?a=b");
    EXPECT_EQ(request.header("Content-Type"), "application/json");
    EXPECT_EQ(request.header("Host"), "127.0.0.1:" + std::to_string(receiver.port()));
    const json::value event = body_of(request);
    EXPECT_EQ(event.at("specversion"), "1.0");
    EXPECT_EQ(event.at("type"), text(types[i]));
    EXPECT_EQ(event.at("subject"), text(ann.id));
    EXPECT_EQ(event.at("id"), text(request.header("webhook-id")));
    EXPECT_EQ(version_of(request), i + 1);
  }
  EXPECT_EQ(body_of(requests[1]).at("data").at("changes").at("company").at("new"), "Acme");
}

TEST_F(WebhookDelivery, IsSignedAsTheReceiversLibraryWantsIt) {
  const NodeProgram library{"standard_webhooks"};
  if (library.why_unavailable()) {
    if (std::getenv("CI") != nullptr) FAIL() << *library.why_unavailable();
    GTEST_SKIP() << *library.why_unavailable();
  }
  const Hook hook = given_webhook(receiver.url());
  user.given_contact(R"({"first_name": "Änn 漢"})");
  ASSERT_TRUE(receiver.wait_for_accepted(1));
  const std::string next =
      text_of(user.send("POST", path_of(hook) + "/rotate-secret").then(200).data().at("secret"));
  user.given_contact();
  ASSERT_TRUE(receiver.wait_for_accepted(2));

  const auto requests = receiver.accepted();
  const auto item = [](const Received& request, const std::string& secret,
                       const std::string& body) {
    json::object headers;
    for (const std::string name : {"webhook-id", "webhook-timestamp", "webhook-signature"}) {
      headers[name] = request.header(name);
    }
    return json::object{{"secret", secret}, {"headers", headers}, {"body", body}};
  };
  const json::array items = {
      item(requests[0], hook.secret, requests[0].body),
      item(requests[1], hook.secret, requests[1].body), item(requests[1], next, requests[1].body),
      item(requests[0], next, requests[0].body), item(requests[1], next, requests[1].body + " ")};
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "items.json";
  std::ofstream{file} << json::serialize(items);
  const Finished finished = library.run("verify.mjs", {file.string()});
  EXPECT_EQ(finished.status, exited(0)) << finished.err;
  EXPECT_EQ(finished.out, "ok\nok\nok\nNo matching signature found\nNo matching signature found\n");
}

TEST_F(WebhookDelivery, ReachesAReceiverThatWasAwayInOrder) {
  given_webhook(receiver.url());
  receiver.go_away();
  const auto contacts = given_contacts(12);
  write(contacts, 2, 5);
  receiver.come_back();
  ASSERT_TRUE(receiver.wait_for_accepted(12 * 5));
  expect_all_in_order(receiver.accepted(), contacts, 5);
  EXPECT_EQ(receiver.accepted().size(), 12U * 5);
}

TEST_F(WebhookDelivery, SurvivesAKill) {
  const Hook hook = given_webhook(receiver.url());
  // Every third is refused, so that contacts are at different places of the schedule.
  const auto count = std::make_shared<std::atomic<int>>(0);
  receiver.answer([count](const Received&) -> std::string {
    return ++*count % 3 == 0 ? "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
                             : "HTTP/1.1 204 X\r\n\r\n";
  });
  const auto contacts = given_contacts(8);
  for (int round = 0; round < 3; ++round) {
    write(contacts, 2 + round * 3, 4 + round * 3);
    server.kill();
    restart();
  }
  receiver.answer_status(204);
  ASSERT_TRUE(wait_for_distinct(8 * 10));
  expect_all_in_order(receiver.accepted(), contacts, 10);
}

TEST_F(WebhookDelivery, SendsNothingTwiceAcrossARestartAndARebuild) {
  const Hook hook = given_webhook(receiver.url());
  const auto contacts = given_contacts(5);
  ASSERT_TRUE(receiver.wait_for_accepted(5));
  EXPECT_EQ(server.stop(), exited(0));
  restart();
  write(contacts, 2, 2);
  ASSERT_TRUE(receiver.wait_for_accepted(10));
  EXPECT_EQ(server.stop(), exited(0));
  std::filesystem::remove_all(server.data_dir() / "projections");
  std::filesystem::remove_all(server.data_dir() / "webhooks");
  restart();
  write(contacts, 3, 3);
  ASSERT_TRUE(receiver.wait_for_accepted(15));
  EXPECT_EQ(receiver.received().size(), 15U);
  expect_all_in_order(receiver.accepted(), contacts, 3);
}

TEST_F(WebhookDelivery, OfOneContactDoesNotHoldUpAnother) {
  const Hook hook = given_webhook(receiver.url());
  const Contact ann = user.given_contact();
  const Contact bob = user.given_contact();
  ASSERT_TRUE(receiver.wait_for_accepted(2));
  receiver.answer([id = ann.id](const Received& request) -> std::string {
    return body_of(request).at("subject") == text(id) ? "HTTP/1.1 500 X\r\n\r\n"
                                                      : "HTTP/1.1 200 X\r\n\r\n";
  });
  write({ann, bob}, 2, 4);
  ASSERT_TRUE(receiver.wait_for_accepted(5));  // bob's three
  receiver.answer_status(200);
  ASSERT_TRUE(receiver.wait_for_accepted(8));
  expect_all_in_order(receiver.accepted(), {ann, bob}, 4);
}

TEST_F(WebhookDelivery, FollowsNoRedirect) {
  const Hook hook = given_webhook(receiver.url("/hook"));
  WebhookReceiver elsewhere;
  receiver.answer([url = elsewhere.url()](const Received&) {
    return "HTTP/1.1 307 X\r\nLocation: " + url + "\r\n\r\n";
  });
  user.given_contact();
  ASSERT_TRUE(receiver.wait_for_received(2));
  receiver.answer_status(204);
  ASSERT_TRUE(receiver.wait_for_accepted(1));
  EXPECT_TRUE(elsewhere.received().empty());
  const auto seen = wait_for_deliveries(hook, [](const json::array& all) {
    return all.size() == 1 && all[0].at("state") == "delivered";
  });
  EXPECT_EQ(seen[0].at("attempts").at(0).at("status"), 307);
}

TEST_F(WebhookDelivery, IsOfTheTypesThatAreWanted) {
  const Hook other =
      given_webhook(receiver.url("/deleted"), R"(, "types": ["contactd.contact.deleted.v1"])");
  const Hook hook =
      given_webhook(receiver.url("/created"), R"(, "types": ["contactd.contact.created.v1"])");
  const Contact ann = user.given_contact();
  user.given_patched(ann.id, R"({"company": "A"})");
  user.remove(ann.id).then(200);
  ASSERT_TRUE(receiver.wait_for_accepted(2));
  for (const Received& request : receiver.received()) {
    const std::string_view type = request.target == "/deleted" ? deleted_type : created_type;
    EXPECT_EQ(body_of(request).at("type"), text(type));
  }
  const auto created =
      wait_for_deliveries(hook, [](const json::array& all) { return all.size() == 1; });
  const std::string replay = "/deliveries/" + text_of(created[0].at("id")) + "/replay";
  user.send("POST", path_of(other) + replay).then(404).with_error("Delivery not found");
}

TEST_F(WebhookDelivery, IsToTheOrganizationsOwnWebhooksAlone) {
  given_webhook(receiver.url("/mine"));
  ApiUser other = given_user(server);
  other.given_contact();
  const Contact ann = user.given_contact();
  ASSERT_TRUE(receiver.wait_for_accepted(1));
  EXPECT_EQ(receiver.received().size(), 1U);
  EXPECT_EQ(body_of(receiver.received()[0]).at("subject"), text(ann.id));
}

TEST_F(WebhookDelivery, IsABoundedNumberAtOnceAndHoldsUpNobodyElse) {
  receiver.hold_answers();
  WebhookReceiver quick;
  given_webhook(receiver.url());
  given_webhook(quick.url());
  const auto contacts = given_contacts(30);
  EXPECT_TRUE(quick.wait_for_accepted(30));
  EXPECT_TRUE(receiver.wait_for_received(8));
  receiver.release_answers();
  EXPECT_TRUE(receiver.wait_for_accepted(30));
  EXPECT_EQ(receiver.at_once_max(), 8U);
}

TEST_F(WebhookDelivery, DoesNotWaitForASlowReceiverForever) {
  server.stop();
  auto flags = delivering_flags();
  flags.insert(flags.end(), {"--webhook-timeout-ms", "100"});
  restart({flags, {}});
  receiver.hold_answers();
  const Hook hook = given_webhook(receiver.url());
  user.given_contact();
  wait_for_failure(hook, "timeout");
  receiver.release_answers();
  ASSERT_TRUE(receiver.wait_for_accepted(1));
}

TEST_F(WebhookDelivery, TakesNoAnswerThatIsNotHttp) {
  receiver.answer([](const Received&) { return std::string(100'000, 'x'); });
  const Hook hook = given_webhook(receiver.url());
  user.given_contact();
  wait_for_failure(hook, "broken_answer");
}

TEST_F(WebhookDelivery, WorksOverTlsWithACertificateThatIsTrustedAndTheHosts) {
  const TemporaryDirectory directory;
  const Certificate good = make_certificate(directory.path(), "good");
  const Certificate wrong = make_certificate(directory.path(), "other", "DNS:other.test");
  WebhookReceiver trusted{good};
  WebhookReceiver misnamed{wrong};
  // Both are trusted, so that it is the name that makes the difference.
  const std::filesystem::path both = directory.path() / "both.pem";
  std::ofstream{both} << read_whole_file(good.certificate) << read_whole_file(wrong.certificate);
  server.stop();
  restart({{"--webhook-allow-private", "--webhook-retry-scale", "0.001"},
           {{"SSL_CERT_FILE", both.string()}}});
  given_webhook(trusted.url());
  const Hook hook = given_webhook(misnamed.url());
  user.given_contact();
  EXPECT_TRUE(trusted.wait_for_accepted(1));
  wait_for_failure(hook, "tls");

  server.stop();
  restart();
  WebhookReceiver unknown{good};
  const Hook of_unknown = given_webhook(unknown.url());
  user.given_contact();
  wait_for_failure(of_unknown, "tls");
  EXPECT_TRUE(unknown.received().empty());
  EXPECT_TRUE(misnamed.received().empty());
}

TEST_F(WebhookDelivery, IsNotMadeWithAnotherMasterSecret) {
  const Hook hook = given_webhook(receiver.url());
  const std::string id = given_failed(hook);
  server.stop();
  restart({delivering_flags(), {{"CONTACTD_WEBHOOK_SECRET", std::string(40, 'x')}}});
  receiver.answer_status(204);
  expect_unserved(hook, id, "other_master_secret", "another master secret");
  EXPECT_TRUE(
      eventually([&] { return server.log().find("another master secret") != std::string::npos; },
                 WebhookReceiver::delivery_wait_max));
  EXPECT_TRUE(receiver.accepted().empty());
  user.send("POST", path_of(hook) + "/rotate-secret")
      .then(200)
      .with_field("unserved_reason", nullptr);
  EXPECT_TRUE(receiver.wait_for_accepted(1));
}

TEST_F(WebhookDelivery, IsNotMadeToAUrlThatTheFlagsDoNotAllowAnyMore) {
  const Hook hook = given_webhook(receiver.url());
  const std::string id = given_failed(hook);
  server.stop();
  restart({{"--webhook-allow-private"}, {}});
  receiver.answer_status(204);
  expect_unserved(hook, id, "url_not_allowed", "flags don't allow its URL");
  user.send("PATCH", path_of(hook), {}, R"({"enabled": false})")
      .then(200)
      .with_field("unserved_reason", nullptr);
  user.send("PATCH", path_of(hook), {}, R"({"enabled": true})")
      .then(200)
      .with_field("unserved_reason", "url_not_allowed");
  EXPECT_TRUE(receiver.accepted().empty());
  server.stop();
  restart();
  user.send("GET", path_of(hook)).then(200).with_field("unserved_reason", nullptr);
  EXPECT_TRUE(receiver.wait_for_accepted(1));
}

TEST_F(WebhookDelivery, IsCountedAndLeavesNoAddressInTheLog) {
  const Hook hook = given_webhook(receiver.url("/a-secret-path"));
  user.given_contact();
  ASSERT_TRUE(receiver.wait_for_accepted(1));
  const std::string counted = R"(contactd_webhook_deliveries_total{outcome="delivered"} 1)";
  std::string metrics;
  EXPECT_TRUE(eventually(
      [&] {
        metrics = HttpClient{server.port()}.request("GET", "/metrics").body;
        return metrics.find(counted) != std::string::npos &&
               metrics.find("contactd_webhook_endpoints 1") != std::string::npos;
      },
      WebhookReceiver::delivery_wait_max))
      << metrics;
  server.stop();
  for (const std::string& secret : {std::string{"a-secret-path"}, hook.secret}) {
    EXPECT_EQ(server.log().find(secret), std::string::npos);
  }
}

TEST_F(WebhookDelivery, ListsPages) {
  const Hook hook = given_webhook(receiver.url());
  given_contacts(5);
  wait_for_deliveries(hook, [](const json::array& all) { return all.size() == 5; });
  std::vector<std::string> ids;
  std::string cursor;
  std::string second_page;
  for (;;) {
    const json::value page =
        user.send("GET", path_of(hook) + "/deliveries?limit=2" + cursor).then(200).json();
    for (const json::value& item : page.at("data").as_array())
      ids.push_back(text_of(item.at("id")));
    if (page.at("next_cursor").is_null()) break;
    cursor = "&cursor=" + text_of(page.at("next_cursor"));
    if (second_page.empty()) second_page = cursor;
  }
  EXPECT_EQ(ids.size(), 5U);
  EXPECT_TRUE(std::is_sorted(ids.rbegin(), ids.rend()));
  const Hook other = given_webhook(receiver.url());
  user.send("GET", path_of(other) + "/deliveries?limit=2" + second_page).then(400);
  user.send("GET", path_of(hook) + "/deliveries?cursor=").then(200);
}

}  // namespace
}  // namespace contactd::test
