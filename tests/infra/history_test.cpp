#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/contact/decide.hpp"
#include "infra/contact_history.hpp"
#include "projections/binary.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/temporary_directory.hpp"

// The past as the store reads it from RocksDB, beside what a plain fold of the log remembers.
namespace contactd::infra {
namespace {

using namespace contactd::test;
using namespace projections;
using domain::Contact;
using domain::ContactId;
using domain::Field;
using domain::Instant;
using domain::Version;

// A contact after one of its events; nothing after its deletion.
struct Remembered {
  Instant time;
  std::optional<Contact> contact;
  std::vector<Field> changed;
};
// By id, then by version (the first is version 1).
using Past = std::map<ContactId, std::vector<Remembered>>;

std::vector<Field> fields_of(const std::vector<domain::FieldChange>& changes) {
  std::vector<Field> fields;
  fields.reserve(changes.size());
  for (const auto& change : changes) fields.push_back(change.field);
  return fields;
}

// What happened in an organization, of a log without anything that isn't admitted.
Past past_of(const std::vector<domain::RecordedEvent>& log, const domain::OrganizationId& of) {
  Past past;
  for (const domain::RecordedEvent& event : log) {
    if (event.organization != of) continue;
    std::visit(
        [&](const auto& fact) {
          if constexpr (requires { fact.contact; }) {
            auto& versions = past[fact.contact];
            domain::ContactState state;
            if (!versions.empty() && versions.back().contact) state = *versions.back().contact;
            state = domain::evolve(std::move(state), fact, event.time);
            Remembered now{event.time, {}, {}};
            if (auto* contact = std::get_if<Contact>(&state)) now.contact = *contact;
            if constexpr (requires { fact.changes; }) now.changed = fields_of(fact.changes);
            versions.push_back(std::move(now));
          }
        },
        event.event);
  }
  return past;
}

bool touches_one(const Remembered& event, const std::vector<Field>& fields) {
  return fields.empty() ||
         std::any_of(event.changed.begin(), event.changed.end(), [&](Field changed) {
           return std::find(fields.begin(), fields.end(), changed) != fields.end();
         });
}

class HistoryTest : public testing::Test {
 protected:
  // Folds into a new store; some of it reaches the disk and some doesn't.
  void given(const std::vector<domain::RecordedEvent>& log) {
    fold_some(*store_, log, log.size() / 2);
    store_->flush();
    fold_rest(*store_, log);
  }

  // All versions that pages of `limit` events give, newest first.
  std::vector<Version> paged(const ContactId& contact, std::size_t limit,
                             const std::vector<Field>& fields) const {
    std::vector<Version> versions;
    HistoryQuery query{limit, std::nullopt, fields};
    for (;;) {
      const HistoryPage page = read_history(*store_, acme_, contact, query);
      EXPECT_TRUE(page.known);
      EXPECT_LE(page.items.size(), limit);
      for (const HistoryPage::Item& item : page.items) versions.push_back(item.version);
      if (!page.more) return versions;
      EXPECT_EQ(page.items.size(), limit);
      if (page.items.empty()) return versions;
      query.before = page.items.back().version;
    }
  }

  void expect_pages(const ContactId& contact, const std::vector<Remembered>& versions,
                    const std::vector<Field>& fields) const {
    std::vector<Version> expected;
    for (Version version = versions.size(); version > 0; --version) {
      if (touches_one(versions[version - 1], fields)) expected.push_back(version);
    }
    for (const std::size_t limit : {1U, 7U, 200U}) {
      ASSERT_EQ(paged(contact, limit, fields), expected) << limit;
    }
  }

  void expect_moment(const ContactId& contact, const Moment& moment,
                     const std::optional<Contact>& expected) const {
    const PastContact past = read_past_contact(*store_, acme_, contact, moment);
    const auto* found = std::get_if<Contact>(&past);
    ASSERT_EQ(found != nullptr, expected.has_value());
    if (expected) {
      ASSERT_EQ(*found, *expected);
    }
  }

  // Every version, and the times on, before and after each event.
  void expect_moments(const ContactId& contact, const std::vector<Remembered>& versions) const {
    for (Version version = 1; version <= versions.size(); ++version) {
      expect_moment(contact, version, versions[version - 1].contact);
      for (const std::int64_t ms : {-1, 0, 1}) {
        const Instant time{versions[version - 1].time.unix_ms + ms};
        std::optional<Contact> expected;
        for (const Remembered& event : versions) {
          if (event.time <= time) expected = event.contact;
        }
        expect_moment(contact, time, expected);
      }
    }
  }

  std::vector<Contact> listed(Instant at, std::size_t page_size) const {
    std::vector<Contact> all;
    PastListQuery query{at, page_size, 0, std::nullopt, false};
    for (;;) {
      const PastListPage page = list_past_contacts(*store_, acme_, query);
      all.insert(all.end(), page.contacts.begin(), page.contacts.end());
      if (!page.more) return all;
      EXPECT_EQ(page.contacts.size(), page_size);
      if (page.contacts.empty()) return all;
      query.after = page.last;
    }
  }

  const domain::OrganizationId acme_ = org("acme");
  const TemporaryDirectory directory_;
  std::unique_ptr<ReadStore> store_ = open_read_store(directory_.path() / "projections");
};

// Long histories, with versions on both sides of snapshots, several in a millisecond, and times at
// which nothing happens; some of them end in a deletion, one right where a snapshot would be.
std::vector<domain::RecordedEvent> long_histories(Random& random) {
  LogBuilder builder;
  RandomCommands commands{random};
  std::int64_t ms = 0;
  const std::vector<std::size_t> lengths = {1, 63, 64, 65, 128, 200, 300};
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const ContactId id = contact_id("contact" + std::to_string(i));
    domain::ContactState state = domain::evolve({}, created(id), after(ms));
    builder.at(after(ms)).then(created(id));
    while (std::get<Contact>(state).version < lengths[i]) {
      // Few fields, some of them rarely, so that a filter has to look back far.
      domain::ContactPatch patch;
      if (random.one_in(60)) patch.push_back(set(Field::company, random.text(4)));
      if (random.one_in(150)) patch.push_back(tags({random.text(2)}));
      patch.push_back(set(Field::first_name, random.text(6)));
      const auto decided =
          decide(domain::UpdateContact{id, patch, domain::AnyVersion{}}, state, {});
      const auto* event = std::get_if<domain::Event>(&decided);
      if (event == nullptr) continue;
      ms += static_cast<std::int64_t>(random.below(4));
      state = domain::evolve(std::move(state), std::get<domain::ContactUpdated>(*event), after(ms));
      builder.at(after(ms)).then(*event);
    }
    const Version version = std::get<Contact>(state).version;
    if (version == 63 || version == 200) builder.then(domain::ContactDeleted{id, version + 1});
  }
  // A neighbour on either side, whose keys are next to acme's.
  builder.in("acm").then(created(contact_id("contact0")));
  builder.in("acme0").then(created(contact_id("contact0")));
  return builder.log;
}

TEST_F(HistoryTest, IsWhatAFoldOfTheLogRemembers) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const auto log = long_histories(random);
  given(log);
  const Past past = past_of(log, acme_);
  for (const auto& [contact, versions] : past) {
    SCOPED_TRACE(contact.str());
    for (const std::vector<Field>& fields :
         std::vector<std::vector<Field>>{{},
                                         {Field::company},
                                         {Field::tags},
                                         {Field::company, Field::tags},
                                         {Field::first_name},
                                         {Field::status},
                                         {Field::email}}) {
      ASSERT_NO_FATAL_FAILURE(expect_pages(contact, versions, fields));
    }
    ASSERT_NO_FATAL_FAILURE(expect_moments(contact, versions));
  }
}

TEST_F(HistoryTest, APageHasAtMostSoManyBytesButAlwaysAnEvent) {
  LogBuilder builder;
  builder.then(created(ann));
  const Version versions = 50;
  for (Version version = 2; version <= versions; ++version) {
    const std::string company(version * 10, 'x');
    builder.then(domain::ContactUpdated{ann, version, {change(Field::company, "", company)}});
  }
  given(builder.log);
  for (const std::vector<Field>& fields : {std::vector<Field>{}, {Field::company}}) {
    for (const std::size_t bytes_max : {0U, 700U, 5'000U}) {
      HistoryQuery query{40, std::nullopt, fields, bytes_max};
      Version expected = versions;
      std::size_t pages = 0;
      for (bool more = true; more;) {
        const HistoryPage page = read_history(*store_, acme_, ann, query);
        ASSERT_FALSE(page.items.empty());
        std::size_t bytes = 0;
        for (const HistoryPage::Item& item : page.items) {
          ASSERT_EQ(item.version, expected--);
          bytes += item.entry.changes.size();
        }
        EXPECT_TRUE(bytes <= bytes_max || page.items.size() == 1) << bytes;
        query.before = page.items.back().version;
        more = page.more;
        ++pages;
      }
      EXPECT_EQ(pages < versions - expected, bytes_max > 0) << pages;
      EXPECT_EQ(expected, fields.empty() ? 0U : 1U);
    }
  }
}

TEST_F(HistoryTest, ListsTheContactsThatThereWere) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const auto log = long_histories(random);
  given(log);
  const Past past = past_of(log, acme_);
  for (int i = 0; i < 40; ++i) {
    const Instant at = i == 0 ? after(-1) : random.pick(log).time;
    std::vector<Contact> expected;
    for (const auto& [contact, versions] : past) {
      std::optional<Contact> then;
      for (const Remembered& event : versions) {
        if (event.time <= at) then = event.contact;
      }
      if (then) expected.push_back(*then);
    }
    for (const std::size_t size : {1U, 2U, 100U}) ASSERT_EQ(listed(at, size), expected);
    const std::uint64_t skip = random.below(expected.size() + 2);
    const PastListPage page = list_past_contacts(*store_, acme_, {at, 2, skip, std::nullopt, true});
    ASSERT_EQ(page.total, expected.size());
    ASSERT_EQ(page.more, skip + 2 < expected.size());
    expected.erase(expected.begin(),
                   expected.begin() + static_cast<long>(std::min(skip, expected.size())));
    expected.resize(std::min<std::size_t>(expected.size(), 2));
    ASSERT_EQ(page.contacts, expected);
  }
}

TEST_F(HistoryTest, SaysWhyThereIsNoContact) {
  LogBuilder builder;
  builder.at(noon).then(created(ann)).at(after(5)).then(domain::ContactDeleted{ann, 2});
  builder.then(created(contact_id("bob")));
  given(builder.log);
  const auto at = [&](const ContactId& contact, const Moment& moment) {
    return read_past_contact(*store_, acme_, contact, moment);
  };
  EXPECT_TRUE(std::holds_alternative<NeverWas>(at(contact_id("b"), Version{1})));
  EXPECT_TRUE(
      std::holds_alternative<NeverWas>(read_past_contact(*store_, org("other"), ann, Version{1})));
  EXPECT_EQ(std::get<NoSuchVersion>(at(ann, Version{3})).latest, 1U);
  EXPECT_EQ(std::get<NoSuchVersion>(at(contact_id("bob"), ~Version{0})).latest, 1U);
  EXPECT_EQ(std::get<BeforeCreation>(at(ann, after(-1))).created_at, noon);
  for (const Moment& moment : {Moment{Version{2}}, Moment{after(5)}, Moment{after(day_ms)}}) {
    const auto deleted = std::get<AfterDeletion>(at(ann, moment));
    EXPECT_EQ(deleted.version, 2U);
    EXPECT_EQ(deleted.deleted_at, after(5));
  }
  EXPECT_FALSE(read_history(*store_, acme_, contact_id("b"), {10, std::nullopt, {}}).known);
  EXPECT_FALSE(read_history(*store_, org("other"), ann, {10, std::nullopt, {}}).known);
  // Behind the last one there is nothing, which is no reason to forget the contact.
  const HistoryPage end = read_history(*store_, acme_, ann, {10, Version{1}, {}});
  EXPECT_TRUE(end.known);
  EXPECT_TRUE(end.items.empty());
  EXPECT_FALSE(end.more);
}

TEST_F(HistoryTest, RefusesAHistoryThatIsDamaged) {
  LogBuilder builder;
  builder.then(created(ann));
  for (Version version = 2; version <= 70; ++version) {
    builder.then(domain::ContactUpdated{
        ann, version, {change(Field::company, "x", std::to_string(version))}});
  }
  given(builder.log);
  const auto batch = store_->begin();
  batch->put(Table::history, keys::history(acme_, ann, 66), "damaged");
  batch->remove(Table::snapshots, keys::snapshot(acme_, ann, 64));
  batch->commit();
  EXPECT_THROW(read_past_contact(*store_, acme_, ann, Version{70}), CorruptRecord);
  EXPECT_THROW(read_past_contact(*store_, acme_, ann, Version{65}), CorruptRecord);
  EXPECT_THROW(read_history(*store_, acme_, ann, {10, std::nullopt, {}}), CorruptRecord);
  EXPECT_TRUE(std::holds_alternative<Contact>(read_past_contact(*store_, acme_, ann, Version{63})));
}

}  // namespace
}  // namespace contactd::infra
