#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "tests/infra/stored.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;
using namespace projections;
using domain::Contact;
using domain::Field;
using keys::UpdatePosition;
using testing::IsEmpty;

// A query in words: asked(10).skipping(2).tagged_with("vip").
struct Asked : ListQuery {
  Asked& skipping(std::uint64_t count_before) { return skip = count_before, *this; }
  Asked& behind(std::optional<UpdatePosition> position) { return after = position, *this; }
  Asked& of_partition(std::uint32_t id) { return partition = id, *this; }
  Asked& counted() { return count = true, *this; }
  Asked& only_active() { return inactive = false, *this; }
  Asked& only_inactive() { return active = false, *this; }
  Asked& tagged_with(std::string name) { return tag = std::move(name), *this; }
  Asked& from(domain::Instant time) { return updated_from = time, *this; }
  Asked& to(domain::Instant time) { return updated_to = time, *this; }
};
Asked asked(std::size_t page_size) {
  Asked query;
  query.page_size = page_size;
  return query;
}

class ListTest : public testing::Test {
 protected:
  ListPage list(const ListQuery& query, std::string_view of = "acme") const {
    return store_->list(org(of), query);
  }
  // The names of a page's contacts: the letters that their ids begin with.
  std::string names(const ListQuery& query) const {
    std::string out;
    for (const std::string& json : list(query).contacts) out += json.substr(7, 1);
    return out;
  }

  const TemporaryDirectory directory_;
  std::unique_ptr<ReadStore> store_ = open_read_store(directory_.path() / "projections");
};

domain::ContactCreated tagged(const char* name, const std::vector<std::string>& items,
                              std::string_view status = "active") {
  return {contact_id(name), {first(Field::status, status), first_tags(items)}};
}

TEST_F(ListTest, IsInTheOrderOfUpdates) {
  LogBuilder builder;
  builder.then(tagged("a", {})).then(tagged("b", {}, "inactive"));
  builder.at(after(1)).then(tagged("c", {}));
  builder.then(domain::ContactUpdated{contact_id("a"), 2, {first(Field::company, "x")}});
  fold_rest(*store_, builder.log);
  EXPECT_EQ(names(asked(10)), "bca");
  EXPECT_EQ(names(asked(2)), "bc");
  EXPECT_EQ(names(asked(2).skipping(2)), "a");
  EXPECT_EQ(names(asked(2).skipping(9)), "");
  EXPECT_EQ(names(asked(9).only_active()), "ca");
  EXPECT_EQ(names(asked(9).only_inactive()), "b");
  EXPECT_EQ(names(asked(9).from(after(1))), "ca");
  EXPECT_EQ(names(asked(9).to(noon)), "b");
  EXPECT_EQ(names(asked(9).from(noon).to(after(1))), "bca");
  EXPECT_EQ(names(asked(9).from(after(2))), "");
}

// A client may ask for any date that it can write.
TEST_F(ListTest, TakesDatesBefore1970) {
  LogBuilder builder;
  builder.then(tagged("a", {"vip"}));
  fold_rest(*store_, builder.log);
  for (const std::int64_t ms : {-1LL, -62'167'219'200'000LL}) {
    EXPECT_EQ(names(asked(9).from(domain::Instant{ms})), "a");
    EXPECT_EQ(names(asked(9).to(domain::Instant{ms})), "");
    EXPECT_EQ(names(asked(9).tagged_with("vip").from(domain::Instant{ms})), "a");
    EXPECT_EQ(names(asked(9).tagged_with("vip").to(domain::Instant{ms})), "");
    EXPECT_EQ(list(asked(9).counted().to(domain::Instant{ms})).total, 0U);
  }
}

TEST_F(ListTest, SaysWhetherMoreFollowsAndWhere) {
  LogBuilder builder;
  builder.then(tagged("a", {})).then(tagged("b", {})).then(tagged("c", {}));
  fold_rest(*store_, builder.log);
  const ListPage first_page = list(asked(2).counted());
  EXPECT_TRUE(first_page.more);
  EXPECT_EQ(first_page.total, 3U);
  EXPECT_EQ(first_page.last, (UpdatePosition{noon, 2}));
  const ListPage second_page = list(asked(2).behind(first_page.last));
  EXPECT_EQ(second_page.contacts.size(), 1U);
  EXPECT_FALSE(second_page.more);
  const ListPage third_page = list(asked(2).behind(second_page.last));
  EXPECT_THAT(third_page.contacts, IsEmpty());
  EXPECT_FALSE(third_page.last.has_value());
  EXPECT_FALSE(list(asked(3)).more);
}

// Everything that a list can be asked for, against a scan of all contacts.
class NaiveList {
 public:
  NaiveList(const RandomLog& source, const ReadStore& store, const domain::OrganizationId& of) {
    for (const auto& [key, state] : source.states()) {
      if (key.first != of || !std::holds_alternative<Contact>(state)) continue;
      auto view = store.contact(of, key.second);
      const UpdatePosition at{view->contact.updated_at, view->offset};
      contacts_[at] = std::move(view);
    }
  }
  ListPage list(const ListQuery& query) const {
    ListPage page;
    for (const auto& [at, view] : contacts_) {
      if (!matches(query, view->contact) || (query.after && at <= *query.after)) continue;
      if (++page.total <= query.skip) continue;
      if (page.contacts.size() == query.page_size) {
        page.more = true;
        continue;
      }
      page.contacts.emplace_back(view->json());
      page.last = at;
    }
    return page;
  }
  std::optional<UpdatePosition> random_position(Random& random) const {
    if (contacts_.empty()) return std::nullopt;
    auto at = contacts_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random.below(contacts_.size())));
    return at->first;
  }

 private:
  static bool matches(const ListQuery& query, const Contact& contact) {
    const bool active = contact[Field::status].unquoted() == domain::status_active;
    const std::string tag = query.tag ? domain::json_string(*query.tag) : "";
    return (active ? query.active : query.inactive) &&
           (!query.email || contact[Field::email] == domain::FieldValue::text(*query.email)) &&
           (!query.tag || contact[Field::tags].json().find("[" + tag) != std::string::npos ||
            contact[Field::tags].json().find("," + tag) != std::string::npos) &&
           (!query.updated_from || contact.updated_at >= *query.updated_from) &&
           (!query.updated_to || contact.updated_at <= *query.updated_to);
  }

  std::map<UpdatePosition, std::shared_ptr<const ContactView>> contacts_;
};

ListQuery random_query(Random& random, const NaiveList& naive) {
  static const std::vector<std::string> emails = {"ann@x.io", "bob@x.io", "no@x.io"};
  static const std::vector<std::string> words = {"vip", "lead", "", "a\"b\\c", "漢\n😀", "none"};
  ListQuery query;
  if (random.below(2) == 0) query.partition = 0;  // nothing changes meanwhile: it is the same
  query.page_size = 1 + random.below(8);
  if (random.one_in(3)) query.active = false;
  if (random.one_in(3)) query.inactive = false;
  if (random.one_in(6)) query.email = random.pick(emails);
  if (random.one_in(3)) query.tag = random.pick(words);
  if (random.one_in(3)) {
    if (const auto at = naive.random_position(random)) query.updated_from = at->updated_at;
  }
  if (random.one_in(3)) {
    if (const auto at = naive.random_position(random)) query.updated_to = at->updated_at;
  }
  if (random.one_in(2)) {
    query.after = naive.random_position(random);
  } else {
    query.skip = random.below(10);
    query.count = true;
  }
  return query;
}

TEST_F(ListTest, AgreesWithANaiveModel) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  for (int round = 0; round < 4; ++round) {
    source.run(150);
    fold_rest(*store_, source.log());
    if (round % 2 == 1) store_->flush();  // some rows are on the disk, some in memory
    for (const char* of : {"a", "ab", "b"}) {
      const NaiveList naive{source, *store_, org(of)};
      for (int i = 0; i < 300; ++i) {
        const ListQuery query = random_query(random, naive);
        const ListPage page = list(query, of);
        const ListPage expected = naive.list(query);
        ASSERT_EQ(page.contacts, expected.contacts);
        ASSERT_EQ(page.more, expected.more);
        ASSERT_EQ(page.last, expected.last);
        if (query.count) {
          ASSERT_EQ(page.total, expected.total);
        }
      }
    }
  }
}

// So does who follows one by tag, where each contact is read at a moment of its own.
TEST_F(ListTest, ACursorByTagMissesNothingThatChangesMeanwhile) {
  constexpr int tagged_contacts = 400;
  constexpr int changes = 1'500;
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  const auto name = [](int number) { return "c" + std::to_string(number) + "x"; };
  LogBuilder builder;
  for (int i = 0; i < tagged_contacts; ++i) builder.then(tagged(name(i).c_str(), {"vip"}));
  std::vector<domain::Version> versions(tagged_contacts, 1);
  Random random{seed};
  for (int i = 0; i < changes; ++i) {
    const auto which = random.below(tagged_contacts);
    builder.then(domain::ContactUpdated{contact_id(name(static_cast<int>(which))),
                                        ++versions[which],
                                        {first(Field::company, std::to_string(i))}});
  }
  fold_some(*store_, builder.log, tagged_contacts + 1);

  std::atomic<bool> changed{false};
  std::thread changing{[&] {
    for (int i = 0; i < changes; ++i) fold_some(*store_, builder.log, 1);
    changed = true;
  }};
  std::set<std::string> seen;
  ListQuery query =
      asked(1'000).of_partition(0).tagged_with("vip");  // it reads as fast as they change
  for (bool last = false; !last;) {
    const bool was_changed = changed;
    const ListPage page = list(query);
    seen.insert(page.contacts.begin(), page.contacts.end());
    if (page.last) query.after = page.last;
    last = was_changed && !page.more;
  }
  changing.join();
  for (const std::string& json : list(asked(10'000)).contacts) EXPECT_TRUE(seen.contains(json));
}

// Whoever follows a cursor while contacts change sees every contact as it is in the end.
TEST_F(ListTest, ACursorMissesNothingThatChangesMeanwhile) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(200);
  fold_rest(*store_, source.log());
  std::set<std::string> seen;
  ListQuery query = asked(3);
  for (int page_number = 0;; ++page_number) {
    ASSERT_LT(page_number, 10'000);
    const ListPage page = list(query, "a");
    seen.insert(page.contacts.begin(), page.contacts.end());
    if (page.last) query.after = page.last;
    if (page_number < 60) {
      source.run(2);
      fold_rest(*store_, source.log());
      if (page_number % 16 == 0) store_->flush();
    } else if (!page.more) {
      break;
    }
  }
  for (const std::string& json : list(asked(10'000), "a").contacts) {
    EXPECT_TRUE(seen.contains(json));
  }
}

}  // namespace
}  // namespace contactd::infra
