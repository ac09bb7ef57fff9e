#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <array>
#include <shared_mutex>
#include <unordered_map>

#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/read_store.hpp"
#include "infra/rocksdb_list.hpp"
#include "infra/rocksdb_open.hpp"
#include "infra/row_cache.hpp"
#include "projections/api_key_record.hpp"
#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::ContactId;
using domain::OrganizationId;

constexpr std::size_t block_cache_bytes = 64U << 20U;
constexpr std::size_t all_write_buffers_bytes = 96U << 20U;
constexpr std::size_t write_buffer_bytes = 48U << 20U;
constexpr double filter_bits_per_key = 10;
// A hundred thousand contacts of the usual size. A look-up in RocksDB is ten times dearer.
constexpr std::size_t cached_row_bytes_max = 96U << 20U;
constexpr std::size_t cached_api_keys_max = 16'384;

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // Nothing here has a WAL (the log is one). That the tables reach the disk together is what makes
  // the checkpoint beside them true after a crash.
  options.atomic_flush = true;
  options.db_write_buffer_size = all_write_buffers_bytes;
  options.max_background_jobs = 2;
  options.allow_concurrent_memtable_write = false;  // one thread a partition writes
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
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
    case Table::meta:
      return true;
    case Table::history:
    case Table::by_update:
      return false;
  }
  std::abort();
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
    options.write_buffer_size = write_buffer_bytes;
    options.compression = rocksdb::kLZ4Compression;
    options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression,
                                     rocksdb::kLZ4Compression};
    options.level_compaction_dynamic_level_bytes = true;
    if (looked_up(table)) {
      options.memtable_prefix_bloom_size_ratio = 0.02;
      options.memtable_whole_key_filtering = true;
    }
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
                         status.ToString() + "; check the disk, then restart");
}

class RocksDbReadStore final : public ReadStore {
 public:
  explicit RocksDbReadStore(const std::filesystem::path& directory)
      : db_(directory, database_options(), families()) {}

  // The number of the format that wrote the database; 0 for an empty one.
  std::uint32_t stored_format() const {
    const auto record = get(Table::meta, keys::format);
    return record ? BinaryReader{*record}.number<std::uint32_t>() : 0;
  }
  void store_format() {
    std::string record;
    append_number(record, format_version);
    const auto batch = begin();
    batch->put(Table::meta, keys::format, record);
    batch->commit();
    flush();
  }

  std::optional<std::string> get(Table table, std::string_view key) const override {
    rocksdb::PinnableSlice value;
    const auto status = db_->Get({}, family(table), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) fail("read", status);
    return std::string{view(value)};
  }

  std::shared_ptr<const ContactView> contact(const OrganizationId& organization,
                                             const ContactId& contact) const override {
    const std::string key = keys::contact(organization, contact);
    auto row = rows_.find(key);
    if (!row) {
      row = get(Table::contacts, key);
      if (!row) return nullptr;
      rows_.put(key, *row);
    }
    return std::make_shared<const ContactView>(read_contact(*std::move(row)));
  }

  std::optional<std::string> contact_row(const OrganizationId& organization,
                                         const ContactId& contact) const override {
    const std::string key = keys::contact(organization, contact);
    if (auto row = rows_.find(key)) return row;
    return get(Table::contacts, key);
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
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator({}, family(Table::api_keys))};
    for (at->Seek(after); at->Valid() && all.size() < count_max; at->Next()) {
      if (at->key() == slice(after)) continue;
      auto key = read_api_key(view(at->key()), view(at->value()));
      if (!organization || key.organization == *organization) all.push_back(std::move(key));
    }
    if (!at->status().ok()) fail("read", at->status());
    return all;
  }

  ListPage list(const OrganizationId& organization, const ListQuery& query) const override {
    return list_contacts(*db_, [this](Table table) { return family(table); }, organization, query);
  }

  void visit_all(const Visitor& visit) const override {
    for (std::size_t i = 0; i < table_count; ++i) {
      const auto table = static_cast<Table>(i);
      const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator({}, family(table))};
      for (at->SeekToFirst(); at->Valid(); at->Next()) {
        visit(table, view(at->key()), view(at->value()));
      }
      if (!at->status().ok()) fail("read", at->status());
    }
  }

  void flush() override {
    const auto status = db_->Flush({}, db_.families());
    if (!status.ok()) fail("flush", status);
  }

  std::unique_ptr<Batch> begin() override { return std::make_unique<WriteBatchSink>(*this); }

 private:
  class WriteBatchSink final : public Batch {
   public:
    explicit WriteBatchSink(RocksDbReadStore& store) : store_(store) {}

    void put(Table table, std::string_view key, std::string_view value) override {
      touches_api_keys_ = touches_api_keys_ || table == Table::api_keys;
      if (table == Table::contacts) contacts_[std::string{key}] = value;
      require(batch_.Put(store_.family(table), slice(key), slice(value)));
    }
    void remove(Table table, std::string_view key) override {
      if (table == Table::contacts) contacts_[std::string{key}].clear();
      require(batch_.Delete(store_.family(table), slice(key)));
    }
    void remove_once(Table table, std::string_view key) override {
      require(batch_.SingleDelete(store_.family(table), slice(key)));
    }
    void remove_range(Table table, std::string_view begin, std::string_view end) override {
      require(batch_.DeleteRange(store_.family(table), slice(begin), slice(end)));
    }
    void commit() override {
      rocksdb::WriteOptions options;
      options.disableWAL = true;
      // Between the two steps a reader finds the row in the database alone, old or new; never the
      // old one here after somebody has seen the new one there.
      for (const auto& [key, row] : contacts_) store_.rows_.erase(key);
      require(store_.db_->Write(options, &batch_));
      for (const auto& [key, row] : contacts_) {
        if (!row.empty()) store_.rows_.put(key, row);
      }
      if (touches_api_keys_) store_.api_keys_.forget_all();
    }

   private:
    static void require(const rocksdb::Status& status) {
      if (!status.ok()) fail("write", status);
    }

    RocksDbReadStore& store_;
    rocksdb::WriteBatch batch_;
    std::unordered_map<std::string, std::string> contacts_;  // the rows put; empty: removed
    bool touches_api_keys_ = false;
  };

  rocksdb::ColumnFamilyHandle* family(Table table) const {
    return db_.family(static_cast<std::size_t>(table));
  }

  RocksDb db_;
  ApiKeyCache api_keys_;
  // What the partitions' threads have read or folded last. Readers put nothing in: what one has
  // read may have been replaced since.
  mutable SharedRowCache rows_{cached_row_bytes_max};
};

}  // namespace

std::unique_ptr<ReadStore> open_read_store(const std::filesystem::path& directory) {
  auto store = std::make_unique<RocksDbReadStore>(directory);
  const std::uint32_t format = store->stored_format();
  if (format == format_version) return store;
  if (format != 0) {
    spdlog::warn("projections: format {} isn't this release's {}; folding the log anew", format,
                 format_version);
    store.reset();
    std::filesystem::remove_all(directory);
    store = std::make_unique<RocksDbReadStore>(directory);
  }
  store->store_format();
  return store;
}

}  // namespace contactd::infra
