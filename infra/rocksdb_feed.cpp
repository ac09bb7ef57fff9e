#include "infra/rocksdb_feed.hpp"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::OrganizationId;

std::unique_ptr<rocksdb::Iterator> iterator(const RocksDb& db) {
  return std::unique_ptr<rocksdb::Iterator>{
      db->NewIterator({}, db.family(static_cast<std::size_t>(Table::feed)))};
}

void require_ok(const rocksdb::Iterator& rows) {
  if (rows.status().ok()) return;
  throw StoreUnavailable("the projections' database can't be read: " + rows.status().ToString() +
                         advice_on_projections(rows.status()));
}

// A page, from the disk and from memory, of one moment.
struct Page {
  std::unique_ptr<rocksdb::Iterator> stored;  // null: what is asked for is all in memory
  std::vector<FeedEntry> newer;

  void take(const Generation::FeedRows& rows, const std::string& begin, std::size_t count_max) {
    auto at = std::lower_bound(rows.begin(), rows.end(), begin,
                               [](const auto& row, const auto& key) { return row.first < key; });
    for (; at != rows.end() && newer.size() < count_max; ++at) {
      newer.push_back(read_feed(at->first, *at->second));
    }
  }
};

}  // namespace

std::vector<FeedEntry> read_feed_rows(const RocksDb& db, const Generations& generations,
                                      const OrganizationId& organization, std::uint64_t after,
                                      std::size_t count_max) {
  const std::string prefix = keys::organization(organization);
  const std::string begin = keys::feed(organization, after + 1);
  Page page;
  generations.at_rest([&] {
    bool all_in_memory = false;
    generations.feed_of(prefix, [&](const Generation::FeedRows& rows) {
      all_in_memory = all_in_memory || rows.front().first < begin;
      page.take(rows, begin, count_max);
    });
    if (!all_in_memory) page.stored = iterator(db);
  });
  if (page.stored == nullptr) return std::move(page.newer);
  std::vector<FeedEntry> found;
  auto& stored = *page.stored;
  for (stored.Seek(slice(begin)); stored.Valid() && found.size() < count_max; stored.Next()) {
    if (!view(stored.key()).starts_with(prefix)) break;
    found.push_back(read_feed(view(stored.key()), view(stored.value())));
  }
  require_ok(stored);
  // A generation that is just being written out is in both.
  for (const FeedEntry& entry : page.newer) {
    if (found.size() >= count_max) break;
    if (found.empty() || found.back().offset < entry.offset) found.push_back(entry);
  }
  return found;
}

std::optional<FeedEntry> read_feed_end(const RocksDb& db, const Generations& generations,
                                       const OrganizationId& organization) {
  const std::string prefix = keys::organization(organization);
  std::optional<FeedEntry> last;
  std::unique_ptr<rocksdb::Iterator> stored;
  generations.at_rest([&] {
    generations.feed_of(prefix, [&](const Generation::FeedRows& rows) {
      last = read_feed(rows.back().first, *rows.back().second);
    });
    if (!last) stored = iterator(db);
  });
  if (last) return last;
  stored->SeekForPrev(slice(keys::prefix_end(prefix)));
  if (stored->Valid() && view(stored->key()).starts_with(prefix)) {
    last = read_feed(view(stored->key()), view(stored->value()));
  }
  require_ok(*stored);
  return last;
}

}  // namespace contactd::infra
