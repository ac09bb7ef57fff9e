#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "infra/directory_lock.hpp"
#include "infra/errors.hpp"
#include "infra/folded_before.hpp"
#include "infra/generations.hpp"
#include "infra/large_batch.hpp"
#include "infra/log.hpp"
#include "infra/merged_rows.hpp"
#include "infra/read_store.hpp"
#include "infra/rocksdb_feed.hpp"
#include "infra/rocksdb_list.hpp"
#include "infra/rocksdb_open.hpp"
#include "infra/row_cache.hpp"
#include "infra/row_loader.hpp"
#include "infra/sorted_files.hpp"
#include "projections/api_key_record.hpp"
#include "projections/binary.hpp"
#include "projections/webhook_record.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::ContactId;
using domain::OrganizationId;

constexpr std::size_t block_cache_bytes = 64U << 20U;
// Each generation that is written out is a sorted run of its own. So many of them, and those that
// came of merges, may lie in a table; each costs a look-up a filter, a range a seek.
constexpr int sorted_runs_max = 12;
// What rows that were replaced since may take on the disk, in percent of those that hold.
constexpr unsigned replaced_rows_percent_max = 200;
// How much of a file a merge reads at once. A block at a time takes a fourth more CPU.
constexpr std::size_t compaction_read_bytes = 256U << 10U;
constexpr double filter_bits_per_key = 10;
// A million contacts that are alike, half a million of which each is its own.
constexpr std::size_t cached_row_bytes_max = 192U << 20U;
constexpr std::size_t cached_api_keys_max = 16'384;

rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.max_background_jobs = 2;
  options.compaction_readahead_size = compaction_read_bytes;
  return options;
}

// Tables that are looked up by whole key get a filter; those only ever read in a range don't.
bool looked_up(Table table) {
  switch (table) {
    case Table::contacts:
    case Table::emails:
    case Table::tags:
    case Table::counts:
    case Table::idempotency:
    case Table::api_keys:
    case Table::webhooks:
    case Table::meta:
      return true;
    case Table::history:
    case Table::snapshots:  // every one that is asked for is there
    case Table::by_creation:
    case Table::by_update:
    case Table::feed:
      return false;
  }
  std::abort();
}

// Tables whose rows are never replaced: merging runs frees nothing there.
bool only_grows(Table table) {
  return table == Table::history || table == Table::snapshots || table == Table::by_creation;
}

std::vector<RocksDb::Family> families() {
  const auto cache = rocksdb::NewLRUCache(block_cache_bytes);
  const std::shared_ptr<const rocksdb::FilterPolicy> filter{
      rocksdb::NewBloomFilterPolicy(filter_bits_per_key)};
  std::vector<RocksDb::Family> all;
  for (std::size_t i = 0; i < table_count; ++i) {
    const auto table = static_cast<Table>(i);
    rocksdb::BlockBasedTableOptions blocks;
    blocks.block_cache = cache;
    blocks.format_version = 5;
    if (looked_up(table)) blocks.filter_policy = filter;
    rocksdb::ColumnFamilyOptions options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
    options.compression = rocksdb::kLZ4Compression;
    options.compression_per_level = {
        rocksdb::kNoCompression, rocksdb::kNoCompression,
        // A contact is read often, and replaced soon.
        table == Table::contacts ? rocksdb::kNoCompression : rocksdb::kLZ4Compression};
    // Rows come in no order, so that each generation overlaps all of a table: merging runs of like
    // size writes a row half as often as merging each into the next level does.
    options.compaction_style = rocksdb::kCompactionStyleUniversal;
    options.level0_file_num_compaction_trigger = sorted_runs_max;
    options.compaction_options_universal.max_size_amplification_percent =
        only_grows(table) ? std::numeric_limits<unsigned>::max() : replaced_rows_percent_max;
    all.push_back({table == Table::meta ? "default" : std::string{name_of(table)}, options});
  }
  return all;
}

// The records of API keys, which every request asks for. What is remembered is what is stored: a
// commit that touches a key forgets all of them before anybody is told of it.
class ApiKeyCache {
 public:
  template <class Load>
  std::optional<domain::ApiKey> find(const domain::KeyId& id, const Load& load) const {
    std::uint64_t generation = 0;
    {
      const std::shared_lock lock{mutex_};
      if (const auto known = keys_.find(id); known != keys_.end()) return known->second;
      generation = generation_;
    }
    auto key = load();
    if (!key) return key;
    const std::unique_lock lock{mutex_};
    // Read before a commit that has happened since: not to be remembered.
    if (generation != generation_) return key;
    if (keys_.size() >= cached_api_keys_max) keys_.clear();
    keys_.emplace(id, *key);
    return key;
  }
  void forget_all() {
    const std::unique_lock lock{mutex_};
    ++generation_;
    keys_.clear();
  }

 private:
  // Guarded by mutex_.
  mutable std::shared_mutex mutex_;
  mutable std::unordered_map<domain::KeyId, domain::ApiKey> keys_;
  std::uint64_t generation_ = 0;
};

[[noreturn]] void fail(std::string_view what, const rocksdb::Status& status) {
  throw StoreUnavailable("the projections' database failed to " + std::string{what} + ": " +
                         status.ToString() + advice_on_projections(status));
}

// The number of the format that wrote the database; 0 for an empty one.
std::uint32_t format_of(const RocksDb& db) {
  std::string record;
  const auto status = db->Get({}, slice(keys::format), &record);
  if (status.IsNotFound()) return 0;
  if (!status.ok()) fail("read", status);
  return BinaryReader{record}.number<std::uint32_t>();
}

class RocksDbReadStore final : public ReadStore {
 public:
  RocksDbReadStore(const std::filesystem::path& directory, rocksdb::Env* env)
      : db_(directory, database_options(env), families()),
        generations_(db_, [this](const Generation& flushed) { remember(flushed); }) {
    remove_leftovers(db_);
  }
  // For reading alone: it changes nothing in the directory, and keeps out who would.
  explicit RocksDbReadStore(const std::filesystem::path& directory)
      : lock_(std::in_place, directory), db_(directory, families()), generations_(db_, {}) {}

  std::uint32_t stored_format() const { return format_of(db_); }
  void store_format() {
    std::string record;
    append_number(record, format_version);
    const auto batch = begin();
    batch->put(Table::meta, std::string{keys::format}, std::move(record));
    batch->commit();
    flush();
  }

  std::optional<std::string> get(Table table, std::string_view key) const override {
    if (auto row = generations_.find(table, key)) return *std::move(row);
    return stored(table, key);
  }

  std::shared_ptr<const ContactView> contact(const OrganizationId& organization,
                                             const ContactId& contact) const override {
    const std::string key = keys::contact(organization, contact);
    auto row = cached_row(key);
    if (!row) return nullptr;
    return std::make_shared<const ContactView>(read_contact(*std::move(row)));
  }

  std::optional<std::string> contact_row(const OrganizationId& organization,
                                         const ContactId& contact) const override {
    return cached_row(keys::contact(organization, contact));
  }

  std::optional<ContactId> email_holder(const OrganizationId& organization,
                                        std::string_view email) const override {
    const auto value = get(Table::emails, keys::email(organization, email));
    if (!value) return std::nullopt;
    const auto id = ContactId::parse(*value);
    if (!id) throw CorruptRecord("a row of emails names no contact");
    return id;
  }

  Checkpoint checkpoint(std::uint32_t partition) const override {
    const auto record = get(Table::meta, keys::checkpoint(partition));
    return record ? read_checkpoint(*record) : Checkpoint{};
  }

  std::optional<IdempotencyRecord> idempotency(std::uint32_t partition, const domain::Digest& key,
                                               domain::Instant now) const override {
    const std::uint32_t today = keys::day_of(now);
    for (const std::uint32_t day : {today, today - 1}) {
      const auto value = get(Table::idempotency, keys::idempotency(partition, day, key));
      if (!value) continue;
      IdempotencyRecord record = read_idempotency(*value);
      if (!record.expired(now)) return record;
    }
    return std::nullopt;
  }

  std::optional<domain::ApiKey> api_key(const domain::KeyId& id) const override {
    return api_keys_.find(id, [&]() -> std::optional<domain::ApiKey> {
      const auto row = get(Table::api_keys, id);
      if (!row) return std::nullopt;
      return read_api_key(id, *row);
    });
  }

  std::vector<domain::ApiKey> api_keys(const std::optional<OrganizationId>& organization,
                                       const domain::KeyId& after,
                                       std::size_t count_max) const override {
    std::vector<domain::ApiKey> all;
    MergedRows at = rows_from(Table::api_keys, after);
    for (; at.valid() && all.size() < count_max; at.next()) {
      if (at.key() == after) continue;
      auto key = read_api_key(at.key(), at.value());
      if (!organization || key.organization == *organization) all.push_back(std::move(key));
    }
    at.require_ok();
    return all;
  }

  std::optional<domain::Webhook> webhook(const OrganizationId& organization,
                                         const domain::WebhookId& id) const override {
    const std::string key = keys::webhook(organization, id);
    const auto row = get(Table::webhooks, key);
    if (!row) return std::nullopt;
    return read_webhook(key, *row);
  }

  std::vector<domain::Webhook> webhooks(
      const std::optional<OrganizationId>& organization) const override {
    std::vector<domain::Webhook> all;
    const std::string prefix = organization ? keys::organization(*organization) : "";
    MergedRows at = organization ? rows_from(Table::webhooks, prefix, keys::prefix_end(prefix))
                                 : rows_from(Table::webhooks, prefix);
    for (; at.valid() && at.key().starts_with(prefix); at.next()) {
      all.push_back(read_webhook(at.key(), at.value()));
    }
    at.require_ok();
    return all;
  }

  ListPage list(const OrganizationId& organization, const ListQuery& query) const override {
    const RowReader row_of = [&](const ContactId& contact) {
      return contact_row(organization, contact);
    };
    return list_contacts(db_, generations_, row_of, organization, query);
  }

  std::vector<FeedEntry> feed(const OrganizationId& organization, std::uint64_t after,
                              std::size_t count_max) const override {
    return read_feed_rows(db_, generations_, organization, after, count_max);
  }
  std::optional<FeedEntry> feed_end(const OrganizationId& organization) const override {
    return read_feed_end(db_, generations_, organization);
  }

  void visit_range(Table table, const std::string& begin, const std::string& end,
                   const RowVisitor& visit) const override {
    MergedRows at = rows_from(table, begin, end);
    for (; at.valid() && at.key() < end; at.next()) {
      if (!visit(at.key(), at.value())) return;
    }
    at.require_ok();
  }

  void visit_all(const Visitor& visit) const override {
    for (std::size_t i = 0; i < table_count; ++i) {
      const auto table = static_cast<Table>(i);
      MergedRows at = rows_from(table, {});
      for (; at.valid(); at.next()) visit(table, at.key(), at.value());
      at.require_ok();
    }
  }

  void warm_up() override {
    std::call_once(warming_up_, [this] {
      remembers_ = true;
      loader_.emplace(db_, rows_);
    });
  }

  void flush() override { generations_.flush(); }

  void copy_to(const std::filesystem::path& directory) override {
    flush();
    db_.copy_to(directory);
  }

  std::unique_ptr<Batch> begin() override { return std::make_unique<Changes>(*this); }

  std::unique_ptr<Batch> begin_large() override {
    flush();  // what generations say goes before what is in files
    return std::make_unique<LargeBatch>(db_, [this] {
      rows_.replaced();
      rows_.clear();
      api_keys_.forget_all();
    });
  }

 private:
  class Changes final : public Batch {
   public:
    explicit Changes(RocksDbReadStore& store) : store_(store) {}

    void put(Table table, std::string key, std::string value) override {
      add(table, Change::Kind::put, std::move(key), std::move(value));
    }
    void remove(Table table, std::string key) override {
      add(table, Change::Kind::remove, std::move(key), {});
    }
    void remove_once(Table table, std::string key) override {
      add(table, Change::Kind::remove_once, std::move(key), {});
    }
    void remove_range(Table table, std::string begin, std::string end) override {
      add(table, Change::Kind::remove_range, std::move(begin), std::move(end));
    }
    void commit() override {
      const bool touches_api_keys =
          std::any_of(changes_.begin(), changes_.end(),
                      [](const Change& change) { return change.table == Table::api_keys; });
      store_.generations_.commit(std::move(changes_));
      if (touches_api_keys) store_.api_keys_.forget_all();
    }

   private:
    void add(Table table, Change::Kind kind, std::string key, std::string value) {
      changes_.push_back({table, kind, std::move(key), std::move(value)});
    }

    RocksDbReadStore& store_;
    std::vector<Change> changes_;
  };

  rocksdb::ColumnFamilyHandle* family(Table table) const {
    return db_.family(static_cast<std::size_t>(table));
  }

  // What the tables on the disk say.
  std::optional<std::string> stored(Table table, std::string_view key) const {
    rocksdb::PinnableSlice value;
    const auto status = db_->Get({}, family(table), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) fail("read", status);
    return std::string{view(value)};
  }

  std::optional<std::string> cached_row(const std::string& key) const {
    const std::uint64_t age = rows_.age();
    if (auto row = generations_.find(Table::contacts, key)) return *std::move(row);
    if (auto row = rows_.find(key)) return row;
    auto row = stored(Table::contacts, key);
    if (row && remembers_) rows_.remember(age, key, *row);
    return row;
  }

  // The rows of a generation that leaves memory are those that were used last.
  void remember(const Generation& flushed) {
    rows_.replaced();
    flushed.visit_contacts([this](std::string_view key, const Generation::Row& row) {
      if (row) {
        rows_.put(key, *row);
      } else {
        rows_.erase(key);
      }
    });
  }

  // An empty `end` is the end of the table; the disk's rows go on past another one.
  MergedRows rows_from(Table table, std::string_view begin, std::string_view end = {}) const {
    return generations_.at_rest([&] {
      MergedRows rows{std::unique_ptr<rocksdb::Iterator>{db_->NewIterator({}, family(table))},
                      generations_.overlay(table, begin, end)};
      rows.seek(begin);
      return rows;
    });
  }

  const std::optional<ReadLock> lock_;  // if it is open for reading alone
  RocksDb db_;
  ApiKeyCache api_keys_;
  // Rows as they are on the disk. What a generation says of a contact goes before it.
  mutable SharedRowCache rows_{cached_row_bytes_max};
  std::atomic<bool> remembers_ = false;  // what is read
  std::once_flag warming_up_;
  Generations generations_;          // its thread touches the above
  std::optional<RowLoader> loader_;  // so does its
};

void remove_database(const std::filesystem::path& directory, rocksdb::Env* env) {
  rocksdb::Env& disk = env != nullptr ? *env : *rocksdb::Env::Default();
  std::vector<std::string> files;
  disk.GetChildren(directory.string(), &files).PermitUncheckedError();
  for (const std::string& file : files) {
    const auto status = disk.DeleteFile((directory / file).string());
    if (!status.ok()) fail("remove " + file, status);
  }
}

// Null, and said why, where it is damaged or of another format. RocksDB leaves a damaged one behind
// when the disk fails while it notes which files there are.
std::unique_ptr<RocksDbReadStore> open_usable(const std::filesystem::path& directory,
                                              rocksdb::Env* env) {
  try {
    auto store = std::make_unique<RocksDbReadStore>(directory, env);
    const std::uint32_t format = store->stored_format();
    if (format == 0) store->store_format();
    if (format == 0 || format == format_version) return store;
    spdlog::warn("projections: format {} isn't this release's {}; folding the log anew", format,
                 format_version);
  } catch (const StoreDamaged& problem) {
    spdlog::error("projections: {}. They are made anew from the log", problem.what());
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<ReadStore> open_usable_read_store(const std::filesystem::path& directory) {
  // RocksDB would make a new database of what lacks this file.
  if (!std::filesystem::exists(directory / "CURRENT") && may_have_folded(directory)) {
    spdlog::error("projections: {} lacks the file CURRENT; folding the log anew",
                  directory.string());
    return nullptr;
  }
  return open_usable(directory, nullptr);
}

std::unique_ptr<ReadStore> open_read_store(const std::filesystem::path& directory,
                                           rocksdb::Env* env) {
  if (auto store = open_usable(directory, env)) return store;
  remove_database(directory, env);
  auto store = std::make_unique<RocksDbReadStore>(directory, env);
  store->store_format();
  return store;
}

std::unique_ptr<ReadStore> open_existing_read_store(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "CURRENT")) {
    throw StoreUnavailable("there are no projections in " + directory.string() +
                           "; start contactd on the data directory, or make them with "
                           "`contactd replay --to`");
  }
  const std::uint32_t format = format_of(RocksDb{directory, {{"default", {}}}});
  if (format != format_version) {
    throw StoreUnavailable("the projections in " + directory.string() + " are of format " +
                           std::to_string(format) + ", and this release's is " +
                           std::to_string(format_version) + "; make them anew from the log");
  }
  return std::make_unique<RocksDbReadStore>(directory);
}

}  // namespace contactd::infra
