#include <gtest/gtest.h>

#include "infra/read_store.hpp"
#include "tests/infra/writer_fixture.hpp"

// Commands about webhooks, decided by the real writer, also several in one batch.
namespace contactd::test {
namespace {

using infra::WebhookAnswer;
using infra::WebhookDeletedAnswer;

const domain::WebhookSettings settings{"https://x.io/h", "", {}, true};

class WebhookWriterTest : public WriterTest {
 protected:
  std::optional<domain::Webhook> known(const domain::WebhookId& id) {
    return store_->webhook(org("acme"), id);
  }
};

TEST_F(WebhookWriterTest, AnswersWhatIsFolded) {
  start();
  const auto made = as<WebhookAnswer>(run(domain::CreateWebhook{"a", settings, 7})).webhook;
  EXPECT_EQ(made.settings, settings);
  const auto stored = known("a");
  EXPECT_EQ(stored->next_offset, log_end());
  EXPECT_EQ(stored->master, 7U);
  const auto changed =
      as<WebhookAnswer>(run(domain::UpdateWebhook{"a", {}, "crm", {}, {}})).webhook;
  EXPECT_EQ(changed.settings, known("a")->settings);
  EXPECT_EQ(known("a")->next_offset, stored->next_offset);
  as<WebhookAnswer>(run(domain::ProgressWebhook{"a", {"a", 9, {3}}}));
  EXPECT_EQ(known("a")->next_offset, 9U);
  EXPECT_EQ(known("a")->pending, std::vector<std::uint64_t>{3});
  const std::uint64_t end = log_end();
  as<WebhookAnswer>(run(domain::ProgressWebhook{"a", {"a", 9, {3}}}));
  EXPECT_EQ(log_end(), end);
  EXPECT_EQ(as<WebhookDeletedAnswer>(run(domain::DeleteWebhook{"a"})).webhook, "a");
  EXPECT_EQ(known("a"), std::nullopt);
  EXPECT_EQ(rejection(run(domain::DeleteWebhook{"a"})),
            domain::Rejection{domain::WebhookNotFound{}});
}

TEST_F(WebhookWriterTest, DecidesEachOnWhatTheBatchHasDecidedBefore) {
  start();
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    tokens.push_back(submit(domain::CreateWebhook{"a", settings, 7}));
    tokens.push_back(submit(domain::UpdateWebhook{"a", {}, "crm", {}, {}}));
    tokens.push_back(submit(domain::UpdateWebhook{"a", {}, {}, {}, false}));
    tokens.push_back(submit(domain::RotateWebhookSecret{"a", 8}));
    tokens.push_back(submit(domain::RotateWebhookSecret{"a", 9}));
    tokens.push_back(submit(domain::CreateWebhook{"b", settings, 7}));
    tokens.push_back(submit(domain::DeleteWebhook{"b"}));
    tokens.push_back(submit(domain::ProgressWebhook{"b", {"b", 9, {}}}));
  });
  const auto last = as<WebhookAnswer>(outcome_of(tokens[4])).webhook;
  EXPECT_EQ(last.settings, (domain::WebhookSettings{"https://x.io/h", "crm", {}, false}));
  EXPECT_EQ(last.generation, 3U);
  EXPECT_EQ(known("a")->settings, last.settings);
  EXPECT_EQ(known("a")->generation, 3U);
  EXPECT_EQ(known("b"), std::nullopt);
  EXPECT_EQ(rejection(outcome_of(tokens[7])), domain::Rejection{domain::WebhookNotFound{}});
}

TEST_F(WebhookWriterTest, CountsThoseOfTheBatchToo) {
  start();
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    for (std::size_t i = 0; i <= domain::webhooks_max; ++i) {
      tokens.push_back(submit(domain::CreateWebhook{"w" + std::to_string(i), settings, 7}));
    }
    in("other");
    tokens.push_back(submit(domain::CreateWebhook{"w0", settings, 7}));
    in("acme");
  });
  EXPECT_EQ(rejection(outcome_of(tokens[domain::webhooks_max])),
            domain::Rejection{domain::TooManyWebhooks{}});
  as<WebhookAnswer>(outcome_of(tokens.back()));
  EXPECT_EQ(store_->webhooks(org("acme")).size(), domain::webhooks_max);
  EXPECT_EQ(store_->webhooks(std::nullopt).size(), domain::webhooks_max + 1);
  run(domain::DeleteWebhook{"w0"});
  as<WebhookAnswer>(run(domain::CreateWebhook{"again", settings, 7}));
}

}  // namespace
}  // namespace contactd::test
