#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/contact/contact.hpp"
#include "domain/organization/api_key.hpp"
#include "domain/organization/webhook.hpp"
#include "projections/checkpoint.hpp"
#include "projections/feed.hpp"
#include "projections/fold.hpp"
#include "projections/idempotency.hpp"

namespace rocksdb {
class Env;
}

namespace contactd::infra {

// One page of an organization's contacts in the order of their last update, oldest first.
struct ListQuery {
  std::optional<std::uint32_t> partition;  // the organization's; none where nothing is folded on
  std::size_t page_size = 0;
  std::uint64_t skip = 0;                                  // page mode: the contacts before it
  std::optional<projections::keys::UpdatePosition> after;  // cursor mode: what was seen last
  bool count = false;                                      // whether to count all that match

  // Filters; what isn't given lets everything pass.
  bool active = true;
  bool inactive = true;
  std::optional<std::string> email;  // normalized
  std::optional<std::string> tag;
  std::optional<domain::Instant> updated_from;  // inclusive
  std::optional<domain::Instant> updated_to;    // inclusive
};

struct ListPage {
  std::vector<std::string> contacts;                      // each its JSON
  std::uint64_t total = 0;                                // all that match; if asked for
  std::optional<projections::keys::UpdatePosition> last;  // of the page; where a next one begins
  bool more = false;                                      // whether something follows the page
};

// The projections' database: what was folded, and how far.
//
// A read of one row sees a batch whole or not at all, and every batch whose commit() has returned.
// A list sees of one moment which contacts there are and in which order; their rows may be newer.
// Threads: reads from any; begin() and a Batch from one at a time for each partition.
// Errors: a database that can't be read or written is StoreUnavailable; a row that isn't as this
// release writes it is projections::CorruptRecord.
class ReadStore : public projections::StateReader {
 public:
  // The writes of one fold. Nothing is visible before commit(), which shows all of it at once; a
  // batch that isn't committed leaves no trace.
  class Batch : public projections::WriteSink {
   public:
    virtual void commit() = 0;
  };
  virtual std::unique_ptr<Batch> begin() = 0;
  // The same for very many events: takes no more memory for more rows, and is durable once commit()
  // has returned. Costs more than begin() where there are few. Throws StoreUnavailable, as do the
  // batch's own functions. REQUIRES: while commit() runs, nobody reads the
  // contacts that it changes.
  virtual std::unique_ptr<Batch> begin_large() { return begin(); }

  virtual projections::Checkpoint checkpoint(std::uint32_t partition) const = 0;

  // The row of a contact (contact_view.hpp); nothing if there is no such contact.
  virtual std::optional<std::string> contact_row(const domain::OrganizationId& organization,
                                                 const domain::ContactId& contact) const = 0;
  virtual std::optional<domain::ContactId> email_holder(const domain::OrganizationId& organization,
                                                        std::string_view email) const = 0;
  // What a request with that key was told, if that was within the last 24 hours before `now`.
  virtual std::optional<projections::IdempotencyRecord> idempotency(std::uint32_t partition,
                                                                    const domain::Digest& key,
                                                                    domain::Instant now) const = 0;
  virtual std::optional<domain::ApiKey> api_key(const domain::KeyId& id) const = 0;
  // At most `count_max` keys by id, those after `after`; of one organization if it is given.
  virtual std::vector<domain::ApiKey> api_keys(
      const std::optional<domain::OrganizationId>& organization, const domain::KeyId& after,
      std::size_t count_max) const = 0;
  virtual std::optional<domain::Webhook> webhook(const domain::OrganizationId& organization,
                                                 const domain::WebhookId& id) const = 0;
  // All of the organization's, or of everybody's, by organization and id.
  virtual std::vector<domain::Webhook> webhooks(
      const std::optional<domain::OrganizationId>& organization) const = 0;
  // Costs what it skips, counts and reads: a cursor's page costs the page.
  virtual ListPage list(const domain::OrganizationId& organization,
                        const ListQuery& query) const = 0;

  // The organization's contact events after that offset, in order, at most `count_max`. Costs
  // these; nothing but memory is read where they are new.
  virtual std::vector<projections::FeedEntry> feed(const domain::OrganizationId& organization,
                                                   std::uint64_t after,
                                                   std::size_t count_max) const = 0;
  // The last one; nothing if there was none yet.
  virtual std::optional<projections::FeedEntry> feed_end(
      const domain::OrganizationId& organization) const = 0;

  // Calls `visit` with the rows of a table from `begin` up to, without, `end`, in order and of one
  // moment, until it returns false. What is in memory of the range is copied first.
  using RowVisitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual void visit_range(projections::Table table, const std::string& begin,
                           const std::string& end, const RowVisitor& visit) const = 0;

  // Calls `visit` with every table, key and value, in order.
  using Visitor = std::function<void(projections::Table, std::string_view, std::string_view)>;
  virtual void visit_all(const Visitor& visit) const = 0;

  // From now on rows that are read stay in memory, and a thread of its own loads others until there
  // is no more room. To be called once the store has caught up with the log; again changes nothing.
  virtual void warm_up() {}

  // Makes all that was committed durable, so that the next start needs to fold nothing again.
  virtual void flush() = 0;

  // Copies all that was committed before, and perhaps more, as of one moment, into a database in
  // `directory`, which must not exist. Files are shared, where the file system can, not copied.
  virtual void copy_to(const std::filesystem::path& directory) = 0;
};

// Opens, or creates, the database in `directory`. One of another format, or one that is damaged, is
// removed and made anew: the log has all that was in it. On the disk that `env` stands for, or else
// the machine's. Throws StoreUnavailable.
std::unique_ptr<ReadStore> open_read_store(const std::filesystem::path& directory,
                                           rocksdb::Env* env = nullptr);

// The same, but one of another format, or one that is damaged, stays, and null is returned.
std::unique_ptr<ReadStore> open_usable_read_store(const std::filesystem::path& directory);

// Opens the database in `directory`, which must be there and of this release's format, for reading
// alone: nothing there is changed, and while it is open nobody can open it to write. Throws
// StoreUnavailable, also where somebody has it open to write.
std::unique_ptr<ReadStore> open_existing_read_store(const std::filesystem::path& directory);

}  // namespace contactd::infra
