#include "infra/read_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <optional>

#include "infra/errors.hpp"
#include "projections/binary.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;
using namespace projections;
using testing::ElementsAre;
using testing::IsEmpty;

class ReadStoreTest : public testing::Test {
 protected:
  void reopen() {
    store_.reset();
    store_ = open_read_store(path());
  }
  std::filesystem::path path() const { return directory_.path() / "projections"; }

  const TemporaryDirectory directory_;
  std::unique_ptr<ReadStore> store_ = open_read_store(path());
};

TEST_F(ReadStoreTest, BeginsEmpty) {
  EXPECT_EQ(store_->checkpoint(0), Checkpoint{});
  EXPECT_THAT(lines_of(*store_), IsEmpty());
  EXPECT_EQ(store_->contact(org("a"), ann), nullptr);
  EXPECT_EQ(store_->contact_row(org("a"), ann), std::nullopt);
  EXPECT_EQ(store_->email_holder(org("a"), "ann@x.io"), std::nullopt);
  EXPECT_EQ(store_->api_key("k"), std::nullopt);
  ListQuery query;
  query.page_size = 10;
  EXPECT_THAT(store_->list(org("a"), query).contacts, IsEmpty());
}

TEST_F(ReadStoreTest, ShowsABatchWholeOrNotAtAll) {
  const auto batch = store_->begin();
  batch->put(Table::tags, "a", "1");
  batch->put(Table::emails, "b", "2");
  EXPECT_THAT(lines_of(*store_), IsEmpty());
  batch->commit();
  EXPECT_THAT(lines_of(*store_), ElementsAre("emails: b = 2", "tags: a = 1"));
  {
    const auto dropped = store_->begin();
    dropped->remove(Table::tags, "a");
  }
  EXPECT_EQ(store_->get(Table::tags, "a"), "1");
}

// However it was replaced, and whoever had read it before.
TEST_F(ReadStoreTest, ShowsAContactAsItWasWrittenLast) {
  const std::string key = keys::contact(org("a"), ann);
  const auto write = [&](const std::optional<std::string>& row, bool large) {
    const auto batch = large ? store_->begin_large() : store_->begin();
    if (row) {
      batch->put(Table::contacts, key, *row);
    } else {
      batch->remove(Table::contacts, key);
    }
    batch->commit();
  };
  const auto expect_row = [&](const std::optional<std::string>& row) {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(store_->contact_row(org("a"), ann), row);
  };
  for (const bool large : {false, true}) {
    for (const bool opened_anew : {false, true}) {
      for (const bool warm : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << "large " << large << ", opened anew " << opened_anew << ", warm " << warm);
        reopen();
        if (warm) store_->warm_up();
        for (const std::optional<std::string>& row :
             std::vector<std::optional<std::string>>{"1", "2", std::nullopt, "3", std::nullopt}) {
          write(row, large);
          expect_row(row);
          store_->flush();
          expect_row(row);
          if (!opened_anew) continue;
          reopen();
          if (warm) store_->warm_up();
          expect_row(row);
        }
      }
    }
  }
}

TEST_F(ReadStoreTest, RemovesKeysAndRanges) {
  const auto batch = store_->begin();
  for (const char* key : {"a", "b", "c", "d", "e"}) batch->put(Table::tags, key, "x");
  batch->remove(Table::tags, "a");
  batch->remove(Table::tags, "b");
  batch->remove_range(Table::tags, "c", "e");
  batch->commit();
  EXPECT_THAT(lines_of(*store_), ElementsAre("tags: e = x"));
}

TEST_F(ReadStoreTest, ShowsALargeBatchWholeOrNotAtAll) {
  const auto earlier = store_->begin();
  earlier->put(Table::tags, "a", "old");
  earlier->put(Table::tags, "b", "old");
  earlier->commit();
  {
    const auto dropped = store_->begin_large();
    dropped->remove(Table::tags, "a");
  }
  const auto batch = store_->begin_large();
  batch->put(Table::tags, "a", "1");
  batch->remove(Table::tags, "b");
  batch->put(Table::emails, "c", "2");
  EXPECT_THAT(lines_of(*store_), ElementsAre("tags: a = old", "tags: b = old"));
  batch->commit();
  EXPECT_THAT(lines_of(*store_), ElementsAre("emails: c = 2", "tags: a = 1"));
  reopen();
  EXPECT_THAT(lines_of(*store_), ElementsAre("emails: c = 2", "tags: a = 1"));
}

// More than it holds in memory: what comes later is in a file of its own, and goes before.
TEST_F(ReadStoreTest, TakesTheLastOfALargeBatchsRows) {
  const std::string row(1U << 20U, 'x');
  constexpr int rows = 80;
  const auto key = [](int i) { return "k" + std::to_string(1'000 + i); };
  const auto batch = store_->begin_large();
  batch->put(Table::tags, "twice", "first");
  batch->put(Table::tags, "gone", "first");
  batch->put(Table::idempotency, "b", "early");
  for (int i = 0; i < rows; ++i) batch->put(Table::history, key(i), row);
  batch->put(Table::idempotency, "c", "early");
  batch->remove_range(Table::idempotency, "a", "d");
  batch->put(Table::idempotency, "c", "late");
  batch->put(Table::tags, "twice", "second");
  batch->put(Table::tags, "twice", "third");
  batch->remove(Table::tags, "gone");
  batch->commit();
  EXPECT_EQ(store_->get(Table::tags, "twice"), "third");
  EXPECT_EQ(store_->get(Table::tags, "gone"), std::nullopt);
  EXPECT_EQ(store_->get(Table::idempotency, "b"), std::nullopt);
  EXPECT_EQ(store_->get(Table::idempotency, "c"), "late");
  for (int i = 0; i < rows; ++i) EXPECT_EQ(store_->get(Table::history, key(i)), row);
}

// Keys that begin alike, end within one another, and have zeros where others end.
TEST_F(ReadStoreTest, SortsALargeBatchsRowsWhateverTheirKeys) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  constexpr std::string_view bytes{"\0\1a\xFF", 4};
  std::map<std::string, std::optional<std::string>> expected;
  const auto batch = store_->begin_large();
  for (int i = 0; i < 5'000; ++i) {
    std::string key(8 * random.below(3), 'k');
    for (auto more = 1 + random.below(12); more > 0; --more) {
      key += bytes[random.one_in(3) ? random.below(bytes.size()) : 0];
    }
    if (random.one_in(5)) {
      batch->remove(Table::history, key);
      expected[key] = std::nullopt;
    } else {
      batch->put(Table::history, key, std::to_string(i));
      expected[key] = std::to_string(i);
    }
  }
  batch->commit();
  EXPECT_GT(expected.size(), 1'000U);
  for (const auto& [key, row] : expected) EXPECT_EQ(store_->get(Table::history, key), row);
}

TEST_F(ReadStoreTest, LeavesNoFilesOfALargeBatchThatWasDropped) {
  const auto files = [&] {
    return std::ranges::count_if(
        std::filesystem::directory_iterator{path()},
        [](const auto& entry) { return entry.path().filename().string().starts_with("folded-"); });
  };
  {
    const auto dropped = store_->begin_large();
    for (int i = 0; i < 40; ++i) {
      dropped->put(Table::history, std::to_string(i), std::string(1U << 20U, 'x'));
    }
    EXPECT_TRUE(eventually([&] { return files() > 0; }, std::chrono::seconds{10}));
  }
  EXPECT_EQ(files(), 0);
  EXPECT_THAT(lines_of(*store_), IsEmpty());
}

// The database after a random log is the plain maps after it, key by key.
TEST_F(ReadStoreTest, HoldsWhatTheFoldWrites) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(600);
  Tables tables;
  fold_rest(tables, source.log());
  for (std::size_t left = source.log().size(); left > 0;) {
    const std::size_t count = std::min(left, 1 + random.below(60));
    fold_some(*store_, source.log(), count);
    left -= count;
    if (random.one_in(6)) store_->flush();
    if (random.one_in(12)) reopen();
  }
  EXPECT_EQ(lines_of(*store_), tables.lines());
  for (const auto& [key, state] : source.states()) {
    const auto view = store_->contact(key.first, key.second);
    const auto* contact = std::get_if<domain::Contact>(&state);
    ASSERT_EQ(view != nullptr, contact != nullptr);
    if (contact == nullptr) continue;
    EXPECT_EQ(view->contact, *contact);
    EXPECT_EQ(store_->contact_row(key.first, key.second), view->row);
    const domain::FieldView email = (*contact)[domain::Field::email];
    if (!email.is_null()) {
      EXPECT_EQ(store_->email_holder(key.first, email.unquoted()), key.second);
    }
  }
}

TEST_F(ReadStoreTest, FlushesAndKeeps) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"));
  fold_rest(*store_, builder.log);
  const auto before = lines_of(*store_);
  store_->flush();
  reopen();
  EXPECT_EQ(lines_of(*store_), before);
  EXPECT_EQ(store_->checkpoint(0).next_offset, 2U);
}

TEST_F(ReadStoreTest, IsMadeAnewForAnotherFormat) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"));
  fold_rest(*store_, builder.log);
  std::string format;
  append_number(format, format_version + 1);
  const auto batch = store_->begin();
  batch->put(Table::meta, std::string{keys::format}, format);
  batch->commit();
  store_->flush();
  reopen();
  EXPECT_THAT(lines_of(*store_), IsEmpty());
  EXPECT_EQ(store_->checkpoint(0), Checkpoint{});
  fold_rest(*store_, builder.log);
  const auto before = lines_of(*store_);
  reopen();
  EXPECT_EQ(lines_of(*store_), before);
}

TEST_F(ReadStoreTest, RefusesADirectoryThatAnotherHasOrThatCannotBe) {
  EXPECT_THROW(open_read_store(path()), StoreUnavailable);
  std::ofstream{directory_.path() / "file"} << "x";
  EXPECT_THROW(open_read_store(directory_.path() / "file" / "p"), StoreUnavailable);
}

TEST_F(ReadStoreTest, SaysThatARowIsDamaged) {
  const auto batch = store_->begin();
  batch->put(Table::contacts, keys::contact(org("a"), ann), "\x09rubbish");
  batch->put(Table::emails, keys::email(org("a"), "ann@x.io"), "nobody");
  batch->put(Table::meta, keys::checkpoint(0), "short");
  batch->commit();
  EXPECT_THROW(store_->contact(org("a"), ann), CorruptRecord);
  EXPECT_THROW(store_->email_holder(org("a"), "ann@x.io"), CorruptRecord);
  EXPECT_THROW(store_->checkpoint(0), CorruptRecord);
}

// While the partition's thread folds, readers see each contact go forward only.
TEST_F(ReadStoreTest, NeverShowsAnOlderRowAgain) {
  constexpr domain::Version versions = 1'500;
  LogBuilder builder;
  builder.then(created(ann));
  for (domain::Version version = 2; version <= versions; ++version) {
    const auto text = [](domain::Version n) { return std::to_string(n); };
    builder.then(domain::ContactUpdated{
        ann, version, {change(domain::Field::company, text(version - 1), text(version))}});
  }
  fold_some(*store_, builder.log, 2);
  constexpr std::size_t reader_count = 2;
  std::vector<std::future<void>> readers;
  readers.reserve(reader_count);
  for (std::size_t i = 0; i < reader_count; ++i) {
    readers.push_back(std::async(std::launch::async, [&] {
      for (domain::Version seen = 1; seen < versions;) {
        const auto row = store_->contact_row(org("acme"), ann);
        ASSERT_TRUE(row.has_value());
        const domain::Version now = read_document(*row).version;
        ASSERT_GE(now, seen);
        seen = now;
      }
    }));
  }
  while (store_->checkpoint(0).next_offset < builder.log.size()) {
    store_->contact(org("acme"), ann);
    fold_some(*store_, builder.log, 1);
  }
  for (auto& reader : readers) reader.get();
}

TEST_F(ReadStoreTest, ShowsARevokedApiKeyAsRevokedFromTheCommitOn) {
  LogBuilder builder;
  for (int i = 0; i < 300; ++i) {
    builder.then(domain::ApiKeyCreated{"k" + std::to_string(i), "n", {}, digest(1)});
    builder.then(domain::ApiKeyRevoked{"k" + std::to_string(i)});
  }
  fold_some(*store_, builder.log, 1);
  std::atomic<bool> done = false;
  auto reader = std::async(std::launch::async, [&] {
    for (int i = 0; !done; i = (i + 1) % 300) store_->api_key("k" + std::to_string(i));
  });
  for (int i = 0; i < 300; ++i) {
    const std::string id = "k" + std::to_string(i);
    fold_some(*store_, builder.log, 1);
    EXPECT_FALSE(store_->api_key(id)->revoked_at.has_value());
    fold_some(*store_, builder.log, 1);
    EXPECT_TRUE(store_->api_key(id)->revoked_at.has_value());
  }
  done = true;
  reader.get();
}

TEST_F(ReadStoreTest, ListsApiKeysById) {
  LogBuilder builder;
  for (const char* id : {"k3", "k1", "k5"}) {
    builder.in("a").then(domain::ApiKeyCreated{id, "n", {domain::Scope::read}, digest(1)});
  }
  for (const char* id : {"k2", "k4"}) {
    builder.in("ab").then(domain::ApiKeyCreated{id, "n", {domain::Scope::read}, digest(2)});
  }
  builder.then(domain::ApiKeyRevoked{"k2"});
  fold_rest(*store_, builder.log);
  const auto ids = [&](const std::optional<domain::OrganizationId>& of, const std::string& after,
                       std::size_t count_max) {
    std::string out;
    for (const auto& key : store_->api_keys(of, after, count_max)) out += key.id + ' ';
    return out;
  };
  EXPECT_EQ(ids({}, "", 10), "k1 k2 k3 k4 k5 ");
  EXPECT_EQ(ids({}, "", 2), "k1 k2 ");
  EXPECT_EQ(ids({}, "k2", 2), "k3 k4 ");
  EXPECT_EQ(ids({}, "k25", 10), "k3 k4 k5 ");
  EXPECT_EQ(ids({}, "k5", 10), "");
  EXPECT_EQ(ids(org("a"), "", 2), "k1 k3 ");
  EXPECT_EQ(ids(org("ab"), "k2", 10), "k4 ");
  EXPECT_EQ(ids(org("b"), "", 10), "");
  EXPECT_EQ(store_->api_key("k2")->revoked_at, noon);
  EXPECT_EQ(store_->api_key("k3")->revoked_at, std::nullopt);
  EXPECT_EQ(store_->api_key("k"), std::nullopt);
}

TEST_F(ReadStoreTest, RemembersIdempotencyKeysForADay) {
  LogBuilder builder;
  builder.with_key(1, 5).then(created(ann));
  fold_rest(*store_, builder.log);
  const auto found = [&](std::int64_t ms, std::uint8_t key = 1, std::uint32_t partition = 0) {
    return store_->idempotency(partition, digest(key), after(ms)).has_value();
  };
  EXPECT_TRUE(found(0));
  EXPECT_TRUE(found(20 * hour_ms));  // the next day
  EXPECT_TRUE(found(day_ms - 1));
  EXPECT_FALSE(found(day_ms));
  EXPECT_FALSE(found(2 * day_ms));
  EXPECT_FALSE(found(0, 2));
  EXPECT_FALSE(found(0, 1, 1));
  EXPECT_EQ(store_->idempotency(0, digest(1), noon)->request, digest(5));
}

}  // namespace
}  // namespace contactd::infra
