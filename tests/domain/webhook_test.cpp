#include "domain/organization/webhook.hpp"

#include <gtest/gtest.h>

#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

Webhook given_webhook() {
  Webhook webhook;
  webhook.id = "wh";
  webhook.organization = org("acme");
  webhook.settings = {"https://x.io/h", "crm", {"contactd.contact.created.v1"}, true};
  webhook.created_at = noon;
  webhook.updated_at = noon;
  webhook.master = 7;
  webhook.next_offset = 10;
  return webhook;
}

void expect(const Decision& decided, const Decision& expected) { EXPECT_TRUE(decided == expected); }

RecordedEvent recorded(Event event, Instant time = after(5)) {
  RecordedEvent out;
  out.time = time;
  out.organization = org("acme");
  out.event = std::move(event);
  return out;
}

TEST(Webhook, IsMadeUpToAsManyAsThereMayBe) {
  const CreateWebhook command{"wh", {"https://x.io", "", {}, true}, 7};
  expect(decide(command, webhooks_max - 1),
         Decision{Event{WebhookCreated{"wh", {"https://x.io", "", {}, true}, 7}}});
  expect(decide(command, webhooks_max), Decision{Rejection{TooManyWebhooks{}}});
}

TEST(Webhook, BeginsAfterItsCreation) {
  const auto made =
      evolve(std::nullopt, recorded(WebhookCreated{"wh", given_webhook().settings, 7}, noon), 9);
  EXPECT_EQ(made, given_webhook());
}

TEST(Webhook, ThatIsNotThereIsNotFound) {
  const Decision missing = Rejection{WebhookNotFound{}};
  const std::optional<Webhook> none;
  expect(decide(UpdateWebhook{"wh", "https://y.io", {}, {}, {}}, none), missing);
  expect(decide(DisableWebhook{"wh", "gone"}, none), missing);
  expect(decide(RotateWebhookSecret{"wh", 7}, none), missing);
  expect(decide(DeleteWebhook{"wh"}, none), missing);
  expect(decide(ProgressWebhook{"wh", {"wh", 20, {}}}, none), missing);
}

TEST(Webhook, ChangesWhatIsGivenAndNothingElse) {
  const Webhook before = given_webhook();
  WebhookSettings after_it = before.settings;
  after_it.description = "";
  UpdateWebhook command{"wh", {}, "", {}, {}};
  expect(decide(command, before), Decision{Event{WebhookUpdated{"wh", after_it}}});
  command.description = "crm";
  expect(decide(command, before), Decision{NothingToDo{}});
  expect(decide(UpdateWebhook{"wh", {}, {}, {}, {}}, before), Decision{NothingToDo{}});
  const auto now = evolve(before, recorded(WebhookUpdated{"wh", after_it}), 11);
  EXPECT_EQ(now->settings, after_it);
  EXPECT_EQ(now->updated_at, after(5));
  EXPECT_EQ(now->next_offset, 10U);
}

TEST(Webhook, ThatWasDisabledSaysWhyUntilItIsEnabledAgain) {
  auto webhook = evolve(given_webhook(), recorded(WebhookDisabled{"wh", "gone"}), 11);
  EXPECT_FALSE(webhook->settings.enabled);
  EXPECT_EQ(webhook->disabled_reason, "gone");
  expect(decide(DisableWebhook{"wh", "gone"}, webhook), Decision{NothingToDo{}});
  const auto decision = decide(UpdateWebhook{"wh", {}, {}, {}, true}, webhook);
  webhook = evolve(webhook, recorded(std::get<Event>(decision)), 12);
  EXPECT_TRUE(webhook->settings.enabled);
  EXPECT_EQ(webhook->disabled_reason, "");
}

TEST(Webhook, CountsItsSecrets) {
  const auto decision = decide(RotateWebhookSecret{"wh", 8}, given_webhook());
  expect(decision, Decision{Event{WebhookSecretRotated{"wh", 2, 8}}});
  const auto webhook = evolve(given_webhook(), recorded(std::get<Event>(decision)), 11);
  EXPECT_EQ(webhook->generation, 2U);
  EXPECT_EQ(webhook->master, 8U);
  EXPECT_EQ(webhook->master_before, 7U);
  EXPECT_EQ(webhook->rotated_at, after(5));
}

TEST(Webhook, ProgressGoesOnlyForward) {
  Webhook webhook = given_webhook();
  const auto progress = [&](std::uint64_t next, std::vector<std::uint64_t> pending) {
    return decide(ProgressWebhook{"wh", {"wh", next, std::move(pending)}}, webhook);
  };
  expect(progress(10, {}), Decision{NothingToDo{}});
  expect(progress(9, {3}), Decision{NothingToDo{}});
  expect(progress(12, {10}), Decision{Event{WebhookProgressed{"wh", 12, {10}}}});
  webhook = *evolve(webhook, recorded(WebhookProgressed{"wh", 12, {10}}), 20);
  EXPECT_EQ(webhook.next_offset, 12U);
  EXPECT_EQ(webhook.pending, std::vector<std::uint64_t>{10});
  // What was pending is done: nothing was read beyond it.
  expect(progress(12, {}), Decision{Event{WebhookProgressed{"wh", 12, {}}}});
}

TEST(Webhook, IsNoMoreOnceDeleted) {
  EXPECT_EQ(evolve(given_webhook(), recorded(WebhookDeleted{"wh"}), 11), std::nullopt);
}

}  // namespace
}  // namespace contactd::domain
