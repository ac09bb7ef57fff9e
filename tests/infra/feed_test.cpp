#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "domain/event_codec.hpp"
#include "infra/cloud_event.hpp"
#include "infra/contact_feed.hpp"
#include "projections/binary.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/temporary_directory.hpp"

// An organization's feed as the store reads it, beside the log that it was folded from.
namespace contactd::infra {
namespace {

namespace json = boost::json;
using namespace contactd::test;
using namespace projections;
using domain::ContactId;
using domain::RecordedEvent;
using testing::ElementsAre;

// The offsets of the organization's contact events that were applied.
std::vector<std::uint64_t> applied(const std::vector<RecordedEvent>& log,
                                   const domain::OrganizationId& of,
                                   const std::optional<ContactId>& about = std::nullopt) {
  std::vector<std::uint64_t> offsets;
  Checkpoint checkpoint;
  for (std::uint64_t offset = 0; offset < log.size(); ++offset) {
    if (admit(checkpoint, offset, log[offset]) != Admission::current) continue;
    if (log[offset].organization != of) continue;
    std::visit(
        [&](const auto& fact) {
          if constexpr (requires { fact.contact; }) {
            if (!about || fact.contact == *about) offsets.push_back(offset);
          }
        },
        log[offset].event);
  }
  return offsets;
}

class FeedTest : public testing::Test {
 protected:
  // Folds; some of it reaches the disk and some doesn't.
  void fold(const std::vector<RecordedEvent>& log, Random& random) {
    while (store_->checkpoint(0).next_offset < log.size()) {
      const std::size_t left = log.size() - store_->checkpoint(0).next_offset;
      fold_some(*store_, log, std::min<std::size_t>(left, 1 + random.below(60)));
      if (random.one_in(6)) store_->flush();
    }
  }

  // A walk from the beginning, page by page.
  std::vector<std::uint64_t> walk(const domain::OrganizationId& of, FeedQuery query) const {
    std::vector<std::uint64_t> offsets;
    for (;;) {
      const FeedPage page = read_feed(*store_, of, query);
      EXPECT_LE(page.items.size(), query.count);
      for (const FeedItem& item : page.items) offsets.push_back(item.place.offset);
      if (!page.more) return offsets;
      EXPECT_GT(page.looked_to, query.after) << "a page that doesn't go on";
      query.after = page.looked_to;
    }
  }

  const TemporaryDirectory directory_;
  std::unique_ptr<ReadStore> store_ = open_read_store(directory_.path() / "projections");
};

TEST_F(FeedTest, HasEveryAppliedContactEventOnceAndInOrder) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog log{random};
  for (int round = 0; round < 4; ++round) {
    log.run(400);
    fold(log.log(), random);
    for (const char* name : {"a", "ab", "b", "nobody"}) {
      FeedQuery query;
      query.count = 1 + random.below(70);
      query.looked_at_max = 1 + random.below(700);
      const auto expected = applied(log.log(), org(name));
      ASSERT_EQ(walk(org(name), query), expected) << name;
      const auto end = store_->feed_end(org(name));
      ASSERT_EQ(end.has_value(), !expected.empty());
      if (end) {
        ASSERT_EQ(end->offset, expected.back());
      }
    }
  }
}

TEST_F(FeedTest, FiltersByContactAndByKind) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog log{random};
  log.run(600);
  fold(log.log(), random);
  FeedQuery query;
  query.count = 7;
  query.looked_at_max = 50;
  std::map<HistoryEntry::Kind, std::size_t> kinds;
  for (const std::uint64_t offset : applied(log.log(), org("a"))) {
    const auto item = read_feed_item(*store_, org("a"), offset);
    ASSERT_TRUE(item);
    ++kinds[item->place.kind];
    EXPECT_EQ(item->place.kind, item->event.kind);
    query.contact = item->place.contact;
  }
  EXPECT_EQ(walk(org("a"), query), applied(log.log(), org("a"), query.contact));
  query.contact.reset();
  query.created = query.updated = false;
  EXPECT_EQ(walk(org("a"), query).size(), kinds[HistoryEntry::Kind::deleted]);
  query.created = true;
  query.deleted = false;
  EXPECT_EQ(walk(org("a"), query).size(), kinds[HistoryEntry::Kind::created]);
}

TEST_F(FeedTest, APageThatFiltersLooksAtNoMoreThanItMay) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  for (domain::Version version = 2; version < 30; ++version) {
    builder.then(domain::ContactUpdated{contact_id("ann"), version, {}});
  }
  builder.then(domain::ContactDeleted{contact_id("ann"), 30});
  fold_rest(*store_, builder.log);
  FeedQuery query;
  query.count = 5;
  query.looked_at_max = 10;
  query.created = query.updated = false;
  const FeedPage page = read_feed(*store_, org("acme"), query);
  EXPECT_TRUE(page.items.empty());
  EXPECT_TRUE(page.more);
  EXPECT_EQ(page.looked_to, 10U);
  EXPECT_THAT(walk(org("acme"), query), ElementsAre(30));
}

TEST_F(FeedTest, APageHasAtMostSoManyBytesButAlwaysAnEvent) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  for (domain::Version version = 2; version <= 30; ++version) {
    const std::string company(version * 10, 'x');
    builder.then(domain::ContactUpdated{
        contact_id("ann"), version, {change(domain::Field::company, "", company)}});
  }
  builder.then(domain::ContactDeleted{contact_id("ann"), 31});
  fold_rest(*store_, builder.log);
  FeedQuery query;
  query.count = query.looked_at_max = 200;
  for (const std::size_t bytes_max : {0U, 500U, 2'000U}) {
    query.bytes_max = bytes_max;
    query.after = 0;
    EXPECT_EQ(walk(org("acme"), query), applied(builder.log, org("acme")));
    for (bool more = true; more;) {
      const FeedPage page = read_feed(*store_, org("acme"), query);
      ASSERT_FALSE(page.items.empty());
      std::size_t bytes = 0;
      for (const FeedItem& item : page.items) bytes += item.event.changes.size();
      EXPECT_TRUE(bytes <= bytes_max || page.items.size() == 1) << bytes;
      EXPECT_EQ(page.looked_to, page.items.back().place.offset);
      query.after = page.looked_to;
      more = page.more;
    }
  }
}

TEST_F(FeedTest, FindsAnEventByItsOffsetOnlyInItsOwnOrganization) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  fold_rest(*store_, builder.log);
  EXPECT_TRUE(read_feed_item(*store_, org("acme"), 1));
  EXPECT_FALSE(read_feed_item(*store_, org("acme"), 0));  // the claim
  EXPECT_FALSE(read_feed_item(*store_, org("acme"), 2));
  EXPECT_FALSE(read_feed_item(*store_, org("acm"), 1));
}

// Structured and binary mode say the same, and the data is the same bytes.
TEST_F(FeedTest, AnEventIsTheSameCloudEventAsOnKafka) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog log{random};
  log.run(400);
  fold(log.log(), random);
  for (const std::uint64_t offset : applied(log.log(), org("a"))) {
    const auto item = read_feed_item(*store_, org("a"), offset);
    ASSERT_TRUE(item);
    std::string text;
    append_cloud_event(text, org("a"), *item);
    const KafkaRecord record = encode_cloud_event(log.log()[offset]);
    EXPECT_TRUE(text.ends_with(",\"data\":" + record.value + '}'));
    const json::object event = json::parse(text).as_object();
    std::size_t attributes = 0;
    for (const auto& [name, value] : record.headers) {
      if (!name.starts_with("ce_") || name.starts_with("ce_claim") ||
          name.starts_with("ce_idempotency")) {
        continue;
      }
      ++attributes;
      const json::value& found = event.at(name.substr(3));
      EXPECT_EQ(found.is_string() ? json::value_to<std::string>(found) : json::serialize(found),
                value);
    }
    EXPECT_EQ(event.at("datacontenttype"), "application/json");
    EXPECT_EQ(event.size(), attributes + 2);
  }
}

TEST_F(FeedTest, RefusesARowThatIsNone) {
  const std::string key = keys::feed(org("acme"), 1);
  const std::string row = encode_feed(HistoryEntry::Kind::deleted, contact_id("ann"), 7);
  EXPECT_EQ(projections::read_feed(key, row),
            (FeedEntry{1, HistoryEntry::Kind::deleted, contact_id("ann"), 7}));
  EXPECT_THROW(projections::read_feed(key, row.substr(1)), CorruptRecord);
  EXPECT_THROW(projections::read_feed(key, row + '\0'), CorruptRecord);
  EXPECT_THROW(projections::read_feed(key, '\4' + row.substr(1)), CorruptRecord);
  EXPECT_THROW(projections::read_feed(key, std::string(row.size(), '\1')), CorruptRecord);
}

}  // namespace
}  // namespace contactd::infra
