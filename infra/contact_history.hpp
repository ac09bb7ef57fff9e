#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "domain/contact/contact.hpp"
#include "infra/read_store.hpp"
#include "projections/history.hpp"

// Reads the past of contacts, also of those that were deleted, from what the store has of it. What
// is past doesn't change, so the reads need not be of one moment.
// Threads: any. Throws as ReadStore does; CorruptRecord where a history isn't whole.
namespace contactd::infra {

struct HistoryQuery {
  std::size_t count = 0;                  // at most so many events
  std::optional<domain::Version> before;  // only events of earlier versions
  std::vector<domain::Field> fields;      // only events that changed one of them; empty: all
  // At most so many bytes of changes, unless the first event alone has more.
  std::size_t bytes_max = std::numeric_limits<std::size_t>::max();
};

struct HistoryPage {
  struct Item {
    domain::Version version = 0;
    projections::HistoryEntry entry;
  };

  bool known = false;       // whether there is such a contact, or was
  std::vector<Item> items;  // newest first
  bool more = false;        // whether something follows the page
};

// A few range reads; with `fields`, a range of at most snapshot_interval rows for each event found.
HistoryPage read_history(const ReadStore& store, const domain::OrganizationId& organization,
                         const domain::ContactId& contact, const HistoryQuery& query);

// A version, or what was the case at a time: after the last event that isn't later.
using Moment = std::variant<domain::Version, domain::Instant>;

// Why there is no contact at a moment.
struct NeverWas {};  // no such contact, at no time
struct NoSuchVersion {
  domain::Version latest = 0;  // in which it can be read
};
struct BeforeCreation {
  domain::Instant created_at;
};
struct AfterDeletion {
  domain::Version version = 0;  // the deletion's
  domain::Instant deleted_at;
};
using PastContact =
    std::variant<domain::Contact, NeverWas, NoSuchVersion, BeforeCreation, AfterDeletion>;

// Costs a snapshot and at most snapshot_interval rows, and for a time a binary search before that.
PastContact read_past_contact(const ReadStore& store, const domain::OrganizationId& organization,
                              const domain::ContactId& contact, const Moment& moment);

// One page of the contacts that an organization had at a time, in the order of their creation.
struct PastListQuery {
  domain::Instant at;
  std::size_t page_size = 0;
  std::uint64_t skip = 0;                                  // page mode: the contacts before it
  std::optional<projections::keys::UpdatePosition> after;  // cursor mode: what was seen last
  bool count = false;                                      // whether to count all that there were
};

struct PastListPage {
  std::vector<domain::Contact> contacts;
  std::uint64_t total = 0;                                // if asked for
  std::optional<projections::keys::UpdatePosition> last;  // of the page; where a next one begins
  bool more = false;                                      // whether something follows the page
};

// Costs a look-up for each contact that is skipped or counted, and a past contact for each shown.
PastListPage list_past_contacts(const ReadStore& store, const domain::OrganizationId& organization,
                                const PastListQuery& query);

}  // namespace contactd::infra
