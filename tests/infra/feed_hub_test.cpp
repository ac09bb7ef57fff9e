#include "infra/feed_hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/domain/samples.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;
using testing::ElementsAre;
using testing::IsEmpty;

class Listener final : public FeedHub::Follower {
 public:
  void grew(const std::vector<domain::OrganizationId>& organizations) override {
    for (const auto& one : organizations) heard.push_back(one.str());
  }
  std::vector<std::string> heard;
};

void tell(FeedHub& hub, std::initializer_list<std::string_view> names) {
  std::vector<domain::OrganizationId> organizations;
  for (const std::string_view name : names) organizations.push_back(org(name));
  hub.tell(organizations);
}

TEST(FeedHub, TellsEachOnlyOfWhatItFollows) {
  FeedHub hub;
  Listener one;
  Listener other;
  EXPECT_FALSE(hub.followed());
  hub.follow(org("a"), one);
  hub.follow(org("b"), one);
  hub.follow(org("b"), other);
  EXPECT_TRUE(hub.followed());
  tell(hub, {"a", "b", "c"});
  EXPECT_THAT(one.heard, ElementsAre("a", "b"));
  EXPECT_THAT(other.heard, ElementsAre("b"));
}

TEST(FeedHub, TellsUntilTheLastOfAFollowersInterestsInAnOrganizationEnds) {
  FeedHub hub;
  Listener one;
  hub.follow(org("a"), one);
  hub.follow(org("a"), one);
  hub.unfollow(org("a"), one);
  tell(hub, {"a"});
  EXPECT_THAT(one.heard, ElementsAre("a"));
  hub.unfollow(org("a"), one);
  EXPECT_FALSE(hub.followed());
  one.heard.clear();
  tell(hub, {"a"});
  EXPECT_THAT(one.heard, IsEmpty());
}

TEST(FeedHub, TellsOfWebhooksWhoWatchesThem) {
  class Watcher final : public FeedHub::WebhookWatcher {
   public:
    void changed(const std::vector<FeedHub::WebhookChange>& webhooks) override {
      for (const auto& one : webhooks) heard.push_back(one.webhook);
    }
    std::vector<std::string> heard;
  } watcher;
  FeedHub hub;
  hub.tell_webhooks({{org("a"), "early"}});
  hub.watch_webhooks(&watcher);
  hub.tell_webhooks({{org("a"), "one"}, {org("b"), "two", true}});
  hub.watch_webhooks(nullptr);
  hub.tell_webhooks({{org("a"), "late"}});
  EXPECT_THAT(watcher.heard, ElementsAre("one", "two"));
}

}  // namespace
}  // namespace contactd::infra
