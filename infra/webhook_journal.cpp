#include "infra/webhook_journal.hpp"

#include <algorithm>
#include <map>

#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/rocksdb_open.hpp"
#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

using projections::append_bytes;
using projections::append_number;
using projections::BinaryReader;

constexpr std::uint8_t row_format = 1;
// How many more than kept_max may be there before the oldest go, many at a time.
constexpr std::size_t trimmed_at_once = 100;
constexpr std::size_t write_buffer_bytes = 1U << 20U;

std::string prefix_of(const domain::WebhookId& webhook) {
  std::string key = webhook;
  key += '\0';
  return key;
}

std::string key_of(const domain::WebhookId& webhook, std::uint64_t offset) {
  std::string key = prefix_of(webhook);
  append_number(key, offset);
  return key;
}

std::string encode(const WebhookDelivery& delivery) {
  std::string row;
  append_number(row, row_format);
  append_number(row, delivery.offset);
  row.append(delivery.event.bytes.begin(), delivery.event.bytes.end());
  append_bytes(row, delivery.type);
  row += delivery.contact.view();
  append_number(row, delivery.version);
  append_number(row, static_cast<std::uint8_t>(delivery.state));
  append_number(row, static_cast<std::uint32_t>(delivery.failed));
  append_number(row, delivery.next_attempt.unix_ms);
  append_number(row, static_cast<std::uint32_t>(delivery.attempts.size()));
  for (const WebhookAttempt& attempt : delivery.attempts) {
    append_number(row, attempt.at.unix_ms);
    append_number(row, static_cast<std::uint32_t>(attempt.status));
    append_bytes(row, attempt.failure);
    append_number(row, attempt.took_ms);
    append_number(row, static_cast<std::uint8_t>(attempt.by_hand ? 1 : 0));
  }
  return row;
}

WebhookAttempt read_attempt(BinaryReader& reader) {
  WebhookAttempt attempt;
  attempt.at.unix_ms = reader.number<std::int64_t>();
  attempt.status = static_cast<int>(reader.number<std::uint32_t>());
  attempt.failure = reader.bytes();
  attempt.took_ms = reader.number<std::uint32_t>();
  attempt.by_hand = reader.number<std::uint8_t>() != 0;
  return attempt;
}

std::optional<WebhookDelivery> decode(std::string_view row) {
  try {
    BinaryReader reader{row};
    if (reader.number<std::uint8_t>() != row_format) return std::nullopt;
    WebhookDelivery delivery;
    delivery.offset = reader.number<std::uint64_t>();
    const std::string_view event = reader.take(delivery.event.bytes.size());
    std::copy(event.begin(), event.end(), delivery.event.bytes.begin());
    delivery.type = reader.bytes();
    const auto contact = domain::ContactId::parse(reader.take(domain::ContactId::length));
    if (!contact) return std::nullopt;
    delivery.contact = *contact;
    delivery.version = reader.number<domain::Version>();
    delivery.state = static_cast<WebhookDelivery::State>(reader.number<std::uint8_t>());
    delivery.failed = reader.number<std::uint32_t>();
    delivery.next_attempt.unix_ms = reader.number<std::int64_t>();
    for (auto count = reader.number<std::uint32_t>(); count > 0; --count) {
      delivery.attempts.push_back(read_attempt(reader));
    }
    return delivery;
  } catch (const projections::CorruptRecord&) {
    return std::nullopt;
  }
}

void require_kept(const rocksdb::Status& status) {
  if (status.ok()) return;
  throw StoreUnavailable("the webhooks' delivery log failed: " + status.ToString() +
                         "; check the disk, or remove its directory while contactd is stopped: "
                         "what is in it is not needed");
}

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
  return options;
}

std::vector<RocksDb::Family> families() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = write_buffer_bytes;
  return {{"default", options}};
}

class RocksDbJournal final : public WebhookJournal {
 public:
  explicit RocksDbJournal(const std::filesystem::path& directory)
      : db_(directory, database_options(), families()) {}

  void put(const domain::WebhookId& webhook, const WebhookDelivery& delivery) override {
    WebhookDelivery kept = delivery;
    if (kept.attempts.size() > attempts_max) {
      kept.attempts.erase(kept.attempts.begin(), kept.attempts.end() - attempts_max);
    }
    require_kept(db_->Put({}, key_of(webhook, delivery.offset), encode(kept)));
    // A row that is written again is counted again; trim() counts what is there.
    if (++written_[webhook] > trimmed_at_once) trim(webhook);
  }

  void remove_all(const domain::WebhookId& webhook) override {
    written_.erase(webhook);
    const std::string begin = prefix_of(webhook);
    require_kept(db_->DeleteRange({}, db_->DefaultColumnFamily(), begin, past(begin)));
  }

  std::optional<WebhookDelivery> find(const domain::WebhookId& webhook,
                                      std::uint64_t offset) const override {
    std::string row;
    const auto status = db_->Get({}, key_of(webhook, offset), &row);
    if (status.IsNotFound()) return std::nullopt;
    require_kept(status);
    return decode(row);
  }

  std::vector<WebhookDelivery> list(const domain::WebhookId& webhook,
                                    std::optional<std::uint64_t> before,
                                    std::size_t count) const override {
    const std::string prefix = prefix_of(webhook);
    const std::string end = before ? key_of(webhook, *before) : past(prefix);
    std::vector<WebhookDelivery> all;
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator({})};
    for (at->SeekForPrev(end); at->Valid() && all.size() < count; at->Prev()) {
      if (!at->key().starts_with(prefix)) break;
      if (view(at->key()) >= end) continue;
      if (auto delivery = decode(view(at->value()))) all.push_back(*std::move(delivery));
    }
    require_kept(at->status());
    return all;
  }

 private:
  static std::string past(std::string prefix) {
    ++prefix.back();
    return prefix;
  }

  // Removes the oldest beyond kept_max. What is pending stays: its schedule is needed.
  void trim(const domain::WebhookId& webhook) {
    written_[webhook] = 0;
    const std::string prefix = prefix_of(webhook);
    std::vector<std::string> settled;
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator({})};
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
      const auto delivery = decode(view(at->value()));
      if (!delivery || delivery->state != WebhookDelivery::State::pending) {
        settled.emplace_back(view(at->key()));
      }
    }
    require_kept(at->status());
    for (std::size_t i = 0; i + kept_max < settled.size(); ++i) {
      require_kept(db_->Delete({}, settled[i]));
    }
  }

  const RocksDb db_;
  std::map<domain::WebhookId, std::size_t> written_;  // since the last trim()
};

}  // namespace

// A damaged one is removed first: RocksDB leaves one behind when the disk fails while it notes
// which files there are, and nobody is to go without contacts for a list of deliveries.
std::unique_ptr<WebhookJournal> open_webhook_journal(const std::filesystem::path& directory) {
  try {
    return std::make_unique<RocksDbJournal>(directory);
  } catch (const StoreDamaged& problem) {
    spdlog::error(
        "webhooks: {}. No backup has it: removing the lists of deliveries. Those made so far "
        "are shown no more, and events that have failed begin their schedule anew",
        problem.what());
  }
  require_kept(rocksdb::DestroyDB(directory.string(), {}));
  return std::make_unique<RocksDbJournal>(directory);
}

}  // namespace contactd::infra
