#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <set>

#include "infra/outbound_address.hpp"
#include "infra/random.hpp"
#include "infra/webhook_budget.hpp"
#include "infra/webhook_journal.hpp"
#include "infra/webhook_obstacle.hpp"
#include "infra/webhook_retry_after.hpp"
#include "infra/webhook_secrets.hpp"
#include "infra/webhook_url.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/temporary_directory.hpp"

// What deliveries are made of: addresses, URLs, secrets, waits, how many are under way, their
// journal.
namespace contactd::infra {
namespace {

using namespace contactd::test;

bool is_public(const std::string& text) {
  const auto address = boost::asio::ip::make_address(text);
  return address.is_v4() ? is_public_v4(address.to_v4().to_bytes())
                         : is_public_v6(address.to_v6().to_bytes());
}

TEST(OutboundAddress, OfASpecialRangeIsNotPublic) {
  // The first and the last of each range, or any one.
  for (const std::string special :
       {"0.0.0.0",         "0.255.255.255",   "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.127.255.255", "127.0.0.0",       "127.0.0.1",
        "127.255.255.255", "169.254.0.0",     "169.254.169.254", "169.254.255.255",
        "172.16.0.0",      "172.31.255.255",  "192.0.0.0",       "192.0.0.255",
        "192.0.2.0",       "192.0.2.255",     "192.31.196.1",    "192.52.193.1",
        "192.88.99.0",     "192.88.99.255",   "192.168.0.0",     "192.168.255.255",
        "192.175.48.1",    "198.18.0.0",      "198.19.255.255",  "198.51.100.0",
        "198.51.100.255",  "203.0.113.0",     "203.0.113.255",   "224.0.0.0",
        "239.255.255.255", "240.0.0.0",       "255.255.255.255"}) {
    EXPECT_FALSE(is_public(special)) << special;
  }
}

TEST(OutboundAddress, OfASpecialRangeOfIPv6IsNotPublic) {
  // The first and the last of each range, or any one.
  for (const std::string special : {"::",
                                    "::1",
                                    "::127.0.0.1",
                                    "::8.8.8.8",
                                    "::ffff:127.0.0.1",
                                    "::ffff:8.8.8.8",
                                    "::ffff:10.0.0.1",
                                    "64:ff9b::7f00:1",
                                    "64:ff9b:1::1",
                                    "100::1",
                                    "2001::1",
                                    "2001:10::1",
                                    "2001:20::1",
                                    "2001:1ff:ffff::",
                                    "2001:db8::1",
                                    "2001:db8:ffff::1",
                                    "2002:7f00:1::1",
                                    "2002:808:808::1",
                                    "2620:4f:8000::1",
                                    "3fff::1",
                                    "3fff:fff::1",
                                    "5f00::1",
                                    "fc00::1",
                                    "fdff:ffff::1",
                                    "fe80::1",
                                    "febf::1",
                                    "fec0::1",
                                    "ff02::1",
                                    "ff0e::1",
                                    "1fff::1",
                                    "4000::1"}) {
    EXPECT_FALSE(is_public(special)) << special;
  }
}

TEST(OutboundAddress, OfThePublicInternetPasses) {
  // Some of them next to a range.
  for (const std::string address :
       {"1.0.0.0",         "8.8.8.8",     "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0", "172.15.255.255",  "172.32.0.0",
        "191.255.255.255", "192.0.1.0",   "192.167.255.255", "192.169.0.0",
        "198.17.255.255",  "198.20.0.0",  "203.0.112.255",   "203.0.114.0",
        "223.255.255.255", "2000::1",     "2001:200::1",     "2001:db7::1",
        "2001:db9::1",     "2003::1",     "2606:4700::1111", "2620:4f:8001::1",
        "3ffe:ffff::1"}) {
    EXPECT_TRUE(is_public(address)) << address;
  }
}

std::string wrong_with(const std::string& url, const WebhookUrlRules& rules = {}) {
  const auto read = read_webhook_url(url, rules);
  const auto* sentence = std::get_if<std::string>(&read);
  return sentence == nullptr ? "" : *sentence;
}

TEST(WebhookUrl, IsTakenApart) {
  const auto read = [](const std::string& url) {
    return std::get<WebhookUrl>(read_webhook_url(url, {true, true}));
  };
  const WebhookUrl plain = read("https://Example.com");
  EXPECT_TRUE(plain.tls);
  EXPECT_EQ(plain.port, "443");
  EXPECT_EQ(plain.target, "/");
  const WebhookUrl full = read("http://example.com:8080/a%20b/?x=1&y=%2F");
  EXPECT_FALSE(full.tls);
  EXPECT_EQ(full.host, "example.com");
  EXPECT_EQ(full.port, "8080");
  EXPECT_EQ(full.authority, "example.com:8080");
  EXPECT_EQ(full.target, "/a%20b/?x=1&y=%2F");
  const WebhookUrl six = read("https://[2606:4700::1111]:8443/h");
  EXPECT_EQ(six.host, "2606:4700::1111");
  EXPECT_EQ(six.authority, "[2606:4700::1111]:8443");
  EXPECT_EQ(read("http://127.0.0.1").port, "80");
  const WebhookUrl numbered = read("https://8.8.8.8.example.com:8443/h");
  EXPECT_EQ(numbered.host, "8.8.8.8.example.com");
  EXPECT_EQ(numbered.port, "8443");
  EXPECT_EQ(numbered.authority, "8.8.8.8.example.com:8443");
  EXPECT_EQ(numbered.target, "/h");
}

TEST(WebhookUrl, ThatCanNotBeServedIsRefused) {
  for (const std::string url : {"",
                                "x",
                                "/h",
                                "https:",
                                "https://",
                                "https:///h",
                                "https://:443/h",
                                "http://example.com/",
                                "ftp://example.com/",
                                "javascript:alert(1)",
                                "file:///etc/passwd",
                                "https://u@example.com/",
                                "https://u:p@example.com/",
                                "https://example.com/#f",
                                "https://example.com:0/",
                                "https://example.com:99999/",
                                "https://example.com:x/",
                                "https://exa mple.com/",
                                "https://example.com/a b",
                                "https://example.com/\r\nX: y",
                                "https://example.com%0d%0a/",
                                "https://[v1.x]/",
                                "https://%31%32%37.0.0.1/",
                                "https://ex%61mple.com/",
                                "https://[::1/",
                                "https://ex\x01mple.com/"}) {
    EXPECT_NE(wrong_with(url), "") << url;
  }
  EXPECT_NE(wrong_with("https://example.com/" + std::string(webhook_url_bytes_max, 'x')), "");
  EXPECT_EQ(wrong_with("https://example.com/" + std::string(100, 'x')), "");
  EXPECT_EQ(wrong_with("http://example.com/", {true, false}), "");
}

TEST(WebhookUrl, ThatLeadsInsideIsRefused) {
  for (const std::string url :
       {"https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data",
        "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[fd00::1]/", "https://localhost/",
        "https://api.localhost/", "https://LocalHost/", "https://localhost./"}) {
    EXPECT_NE(wrong_with(url), "") << url;
    EXPECT_EQ(wrong_with(url, {false, true}), "") << url;
  }
  EXPECT_EQ(wrong_with("https://8.8.8.8/"), "");
  EXPECT_EQ(wrong_with("https://127.example.com/"), "");
}

// What looks names up takes these for addresses.
TEST(WebhookUrl, WithANumberForAHostIsRefused) {
  for (const std::string host :
       {"0", "2130706433", "127.1", "0x7f000001", "0X7F.0.0.1", "0x", "0177.0.0.1", "127.0.0.1.",
        "127.0.0.1.5", "8.8.8.256", "8.8.8.08", "example.1", "8.8.8.8.0x8"}) {
    for (const WebhookUrlRules& rules : {WebhookUrlRules{}, WebhookUrlRules{true, true}}) {
      EXPECT_NE(wrong_with("https://" + host + "/", rules).find("four decimal numbers"),
                std::string::npos)
          << host;
    }
  }
  for (const std::string host : {"8.8.8.8", "8.8.8.8.example.com", "1.example.com", "0xg.example",
                                 "example.x1", "10.0.0.1.example.com.", "1.2.3.4x"}) {
    EXPECT_EQ(wrong_with("https://" + host + "/"), "") << host;
  }
  EXPECT_NE(wrong_with("https://8.8.8.8.localhost/"), "");
}

const std::string master = "0123456789abcdef0123456789abcdef";

TEST(WebhookSecrets, AreMadeOfBase64AndHmac) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  // RFC 4231, test case 2.
  EXPECT_EQ(base64(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
}

TEST(WebhookSecrets, AreDerivedFromTheMasterTheWebhookAndTheGeneration) {
  const WebhookSecrets secrets{master};
  std::set<std::string> seen;
  for (const std::string id : {"a", "b", "ab"}) {
    for (const std::uint32_t generation : {1U, 2U, 256U}) {
      const std::string secret = secrets.secret(id, generation);
      EXPECT_EQ(secret, WebhookSecrets{master}.secret(id, generation));
      EXPECT_TRUE(secret.starts_with("whsec_"));
      EXPECT_EQ(secret.size(), 6U + 44U);
      EXPECT_TRUE(seen.insert(secret).second);
    }
  }
  const WebhookSecrets others{master + "x"};
  EXPECT_TRUE(seen.insert(others.secret("a", 1)).second);
  EXPECT_NE(others.mark(), secrets.mark());
}

// The count of signatures in a header's value.
std::size_t count_of(const std::string& signatures) {
  if (signatures.empty()) return 0;
  return 1 + static_cast<std::size_t>(std::count(signatures.begin(), signatures.end(), ' '));
}

TEST(WebhookSecrets, SignWithTheOldOneTooForADay) {
  const WebhookSecrets secrets{master};
  domain::Webhook webhook;
  webhook.id = "wh";
  webhook.master = secrets.mark();
  const auto sign = [&](domain::Instant now) {
    return secrets.signatures(webhook, "m", 1, "{}", now);
  };
  const std::string first = sign(noon);
  EXPECT_EQ(count_of(first), 1U);
  webhook.generation = 2;
  webhook.master_before = secrets.mark();
  webhook.rotated_at = noon;
  const std::string both = sign(after(day_ms - 1));
  EXPECT_EQ(count_of(both), 2U);
  EXPECT_EQ(both.substr(both.find(' ') + 1), first);
  EXPECT_EQ(count_of(sign(after(day_ms))), 1U);
  webhook.master_before = 1;
  EXPECT_EQ(count_of(sign(noon)), 1U);
  webhook.master = 1;
  EXPECT_EQ(count_of(sign(noon)), 0U);
}

TEST(WebhookObstacle, IsAForeignSecretOrElseAUrlThatTheFlagsRefuse) {
  const WebhookSecrets secrets{master};
  domain::Webhook webhook;
  webhook.master = secrets.mark();
  webhook.settings.url = "http://10.0.0.1/";
  EXPECT_EQ(obstacle_to(webhook, {true, true}, secrets), std::nullopt);
  EXPECT_EQ(obstacle_to(webhook, {false, true}, secrets), WebhookObstacle::url_not_allowed);
  EXPECT_EQ(obstacle_to(webhook, {true, false}, secrets), WebhookObstacle::url_not_allowed);
  const WebhookSecrets others{master + "x"};
  EXPECT_EQ(obstacle_to(webhook, {true, true}, others), WebhookObstacle::other_master_secret);
  EXPECT_EQ(obstacle_to(webhook, {}, others), WebhookObstacle::other_master_secret);
}

TEST(WebhookBudget, HasRoomForOthersWhereAnOrganizationHasItsShare) {
  WebhookBudget budget{3, 2};
  budget.take(org("acme"));
  EXPECT_TRUE(budget.has_room(org("acme")));
  budget.take(org("acme"));
  EXPECT_FALSE(budget.has_room(org("acme")));
  EXPECT_TRUE(budget.has_room(org("other")));
  budget.give_back(org("acme"));
  EXPECT_TRUE(budget.has_room(org("acme")));
}

TEST(WebhookBudget, HasRoomForNobodyWhereAllIsTaken) {
  WebhookBudget budget{3, 2};
  for (const char* name : {"acme", "acme", "other"}) budget.take(org(name));
  EXPECT_FALSE(budget.has_room(org("third")));
  budget.give_back(org("other"));
  EXPECT_TRUE(budget.has_room(org("third")));
}

TEST(WebhookBudget, IsGivenBackWhole) {
  WebhookBudget budget{3, 2};
  EXPECT_TRUE(budget.all_given_back());
  for (const char* name : {"acme", "acme", "other"}) budget.take(org(name));
  for (const char* name : {"acme", "other"}) budget.give_back(org(name));
  EXPECT_FALSE(budget.all_given_back());
  budget.give_back(org("acme"));
  EXPECT_TRUE(budget.all_given_back());
  EXPECT_TRUE(budget.has_room(org("acme")));
}

TEST(WebhookRetryAfter, IsSecondsOrADate) {
  using namespace std::chrono;
  EXPECT_EQ(retry_after("0", noon), 0s);
  EXPECT_EQ(retry_after("120", noon), 120s);
  // A minute after it, in HTTP's three forms.
  for (const std::string date : {"Tue, 15 Jul 2025 10:31:00 GMT", "Tuesday, 15-Jul-25 10:31:00 GMT",
                                 "Tue Jul 15 10:31:00 2025"}) {
    EXPECT_EQ(retry_after(date, noon), 60s) << date;
  }
  EXPECT_EQ(retry_after("Tue, 15 Jul 2025 10:29:00 GMT", noon), 0s);
}

TEST(WebhookRetryAfter, IsBounded) {
  for (const std::string value :
       {"86401", "99999999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"}) {
    EXPECT_EQ(retry_after(value, noon), webhook_retry_after_max) << value;
  }
}

TEST(WebhookRetryAfter, IsNothingElse) {
  for (const std::string value : {"", "-1", "1.5", "soon", "2025-07-15T10:31:00Z",
                                  "Tue, 15 Jul 2025 10:31:00 GMT+1", "Tue, 15 Jul 2025"}) {
    EXPECT_EQ(retry_after(value, noon), std::nullopt) << value;
  }
}

WebhookDelivery delivery(std::uint64_t offset, WebhookDelivery::State state) {
  WebhookDelivery out;
  out.offset = offset;
  out.event = new_event_id(noon);
  out.type = "contactd.contact.updated.v1";
  out.contact = contact_id("ann");
  out.version = offset;
  out.state = state;
  out.failed = 1;
  out.attempts = {{noon, 503, "", 12, false}, {after(1), 0, "timeout", 15'000, true}};
  out.next_attempt = after(2);
  return out;
}

class Journal : public ::testing::Test {
 protected:
  using State = WebhookDelivery::State;

  void reopen() {
    journal.reset();
    journal = open_webhook_journal(path);
  }

  TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "webhooks";
  std::unique_ptr<WebhookJournal> journal = open_webhook_journal(path);
};

TEST_F(Journal, KeepsDeliveriesAcrossAStart) {
  const WebhookDelivery pending = delivery(258, State::pending);
  journal->put("a", pending);
  reopen();
  EXPECT_EQ(journal->find("a", 258), pending);
  EXPECT_EQ(journal->find("a", 259), std::nullopt);
  EXPECT_EQ(journal->find("b", 258), std::nullopt);
}

TEST_F(Journal, ListsAWebhooksDeliveriesNewestFirst) {
  for (const std::uint64_t offset : {1U, 3U, 2U, 256U})
    journal->put("a", delivery(offset, State::delivered));
  journal->put("aa", delivery(500, State::delivered));
  journal->put("B", delivery(1, State::delivered));
  const auto offsets = [&](std::optional<std::uint64_t> before, std::size_t count) {
    std::vector<std::uint64_t> all;
    for (const auto& one : journal->list("a", before, count)) all.push_back(one.offset);
    return all;
  };
  EXPECT_EQ(offsets({}, 10), (std::vector<std::uint64_t>{256, 3, 2, 1}));
  EXPECT_EQ(offsets({}, 2), (std::vector<std::uint64_t>{256, 3}));
  EXPECT_EQ(offsets(3, 10), (std::vector<std::uint64_t>{2, 1}));
  EXPECT_EQ(offsets(1, 10), std::vector<std::uint64_t>{});
  journal->remove_all("a");
  EXPECT_EQ(offsets({}, 10), std::vector<std::uint64_t>{});
  EXPECT_EQ(journal->list("aa", {}, 10).size(), 1U);
}

TEST_F(Journal, ForgetsTheOldestButNotWhatIsPending) {
  journal->put("a", delivery(1, State::pending));
  constexpr std::size_t count = WebhookJournal::kept_max + 500;
  for (std::uint64_t offset = 2; offset < count; ++offset) {
    journal->put("a", delivery(offset, State::delivered));
  }
  const auto all = journal->list("a", {}, count);
  EXPECT_LE(all.size(), WebhookJournal::kept_max + 200);
  EXPECT_GE(all.size(), WebhookJournal::kept_max);
  EXPECT_EQ(all.front().offset, count - 1);
  EXPECT_EQ(all.back().offset, 1U);
}

TEST_F(Journal, BeginsAnewWhereItsFilesAreDamaged) {
  for (const std::string kind : {"CURRENT", "MANIFEST", ".sst"}) {
    journal->put("a", delivery(1, State::delivered));
    reopen();  // which makes a table of it
    journal.reset();
    std::size_t emptied = 0;
    for (const auto& file : std::filesystem::directory_iterator{path}) {
      if (file.path().string().find(kind, path.string().size()) == std::string::npos) continue;
      std::filesystem::resize_file(file, 0);
      ++emptied;
    }
    ASSERT_GT(emptied, 0U) << kind;
    reopen();
    EXPECT_EQ(journal->find("a", 1), std::nullopt) << kind;
    journal->put("a", delivery(2, State::delivered));
    reopen();
    EXPECT_EQ(journal->list("a", {}, 10).size(), 1U) << kind;
  }
}

}  // namespace
}  // namespace contactd::infra
