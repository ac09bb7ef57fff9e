#pragma once

#include <boost/json.hpp>
#include <map>
#include <set>

#include "tests/support/api_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/webhook_receiver.hpp"

// What tests of deliveries are made of: the real server, and a real endpoint that it sends to.
namespace contactd::test {

namespace json = boost::json;

inline constexpr std::string_view created_type = "contactd.contact.created.v1";
inline constexpr std::string_view updated_type = "contactd.contact.updated.v1";
inline constexpr std::string_view deleted_type = "contactd.contact.deleted.v1";

// The pauses between attempts are thousandths: 5 ms, 0.3 s, 1.8 s, ...
inline std::vector<std::string> delivering_flags(const std::string& scale = "0.001") {
  return {"--webhook-allow-http", "--webhook-allow-private", "--webhook-retry-scale", scale};
}

inline std::string text_of(const json::value& value) { return json::value_to<std::string>(value); }

inline json::value body_of(const Received& request) { return json::parse(request.body); }

inline std::uint64_t version_of(const Received& request) {
  return json::value_to<std::uint64_t>(body_of(request).at("contactversion"));
}

struct Hook {
  std::string id;
  std::string secret;
};

class WebhookDelivery : public ::testing::Test {
 protected:
  Hook given_webhook(const std::string& url, const std::string& more = {}) {
    const Answer made =
        user.send("POST", "/api/v1/webhooks", {}, R"({"url": ")" + url + '"' + more + '}')
            .then(201);
    return {text_of(made.data().at("id")), text_of(made.data().at("secret"))};
  }
  static std::string path_of(const Hook& hook) { return "/api/v1/webhooks/" + hook.id; }
  json::array deliveries(const Hook& hook) {
    return user.send("GET", path_of(hook) + "/deliveries").then(200).json().at("data").as_array();
  }
  // Waits until the list of deliveries is as wanted.
  template <class Wanted>
  json::array wait_for_deliveries(const Hook& hook, const Wanted& wanted) {
    json::array seen;
    const bool met = eventually(
        [&] {
          seen = deliveries(hook);
          return wanted(seen);
        },
        WebhookReceiver::delivery_wait_max);
    EXPECT_TRUE(met) << json::serialize(seen);
    return seen;
  }
  json::array wait_for_failure(const Hook& hook, const std::string& failure) {
    return wait_for_deliveries(hook, [&](const json::array& seen) {
      return !seen.empty() && !seen.back().at("attempts").as_array().empty() &&
             seen.back().at("attempts").at(0).at("failure") == text(failure);
    });
  }
  // An event of which an attempt has failed, and another is due; the id of its delivery.
  std::string given_failed(const Hook& hook) {
    receiver.answer_status(500);
    user.given_contact();
    const json::array seen = wait_for_deliveries(hook, [](const json::array& all) {
      return all.size() == 1 && !all[0].at("next_attempt_at").is_null();
    });
    return text_of(seen.at(0).at("id"));
  }
  // All that is said of a webhook that is enabled, but not served.
  void expect_unserved(const Hook& hook, const std::string& delivery, const std::string& reason,
                       const std::string& words) {
    user.send("GET", path_of(hook))
        .then(200)
        .with_field("enabled", true)
        .with_field("unserved_reason", reason);
    const json::array listed =
        user.send("GET", "/api/v1/webhooks").then(200).json().at("data").as_array();
    EXPECT_EQ(listed.at(0).at("unserved_reason"), text(reason));
    const json::array all = deliveries(hook);
    EXPECT_EQ(all.at(0).at("state"), "pending");
    EXPECT_TRUE(all.at(0).at("next_attempt_at").is_null());
    user.send("POST", path_of(hook) + "/deliveries/" + delivery + "/replay")
        .then(409)
        .with_error_naming(words);
  }
  void restart(ServerSettings settings = {delivering_flags(), {}}) {
    server.start(std::move(settings));
    user.move_to(server.port());
  }
  // Changes the contacts in turns, until each has `versions`.
  void write(const std::vector<Contact>& contacts, int from, int versions) {
    for (int version = from; version <= versions; ++version) {
      for (const Contact& contact : contacts) {
        user.given_patched(contact.id, R"({"company": ")" + std::to_string(version) + "\"}");
      }
    }
  }
  std::vector<Contact> given_contacts(std::size_t count) {
    std::vector<Contact> contacts(count);
    for (Contact& contact : contacts) contact = user.given_contact();
    return contacts;
  }

  // Every version of every contact was accepted, the first time in order.
  static void expect_all_in_order(const std::vector<Received>& accepted,
                                  const std::vector<Contact>& contacts, std::uint64_t versions) {
    std::map<std::string, std::uint64_t> last;
    std::set<std::string> ids;
    for (const Received& request : accepted) {
      if (!ids.insert(request.header("webhook-id")).second) continue;  // sent once more
      std::uint64_t& known = last[text_of(body_of(request).at("subject"))];
      EXPECT_EQ(version_of(request), known + 1);
      known = version_of(request);
    }
    EXPECT_EQ(last.size(), contacts.size());
    for (const Contact& contact : contacts) EXPECT_EQ(last[contact.id], versions) << contact.id;
  }
  static std::size_t distinct(const std::vector<Received>& requests) {
    std::set<std::string> ids;
    for (const Received& request : requests) ids.insert(request.header("webhook-id"));
    return ids.size();
  }
  bool wait_for_distinct(std::size_t count) {
    return eventually([&] { return distinct(receiver.accepted()) >= count; },
                      WebhookReceiver::delivery_wait_max);
  }

  WebhookReceiver receiver;
  ServerProcess server{{delivering_flags(), {}}};
  ApiUser user = given_user(server);
};

}  // namespace contactd::test
