#include "infra/contact_history.hpp"

#include <algorithm>

#include "projections/binary.hpp"
#include "projections/contact_view.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::Contact;
using domain::ContactId;
using domain::Instant;
using domain::OrganizationId;
using domain::Version;
using keys::UpdatePosition;

using Item = HistoryPage::Item;

// How many events of a page are read at once.
constexpr std::size_t history_rows_at_once_max = 16;

// The versions of one contact.
class History {
 public:
  History(const ReadStore& store, const OrganizationId& organization, const ContactId& contact)
      : store_(store), organization_(organization), contact_(contact) {}

  // The newest version; 0 if there never was such a contact.
  Version latest() const {
    if (const auto row = store_.contact_row(organization_, contact_)) {
      return read_document(*row).version;
    }
    if (!has(1)) return 0;
    // It was deleted. No version is missing, so the last one can be searched for.
    Version there = 1;
    while (has(2 * there)) there *= 2;
    Version not_there = 2 * there;
    while (not_there - there > 1) {
      const Version middle = there + (not_there - there) / 2;
      (has(middle) ? there : not_there) = middle;
    }
    return there;
  }

  // REQUIRES: the contact has had that version.
  HistoryEntry entry(Version version) const {
    const auto row = store_.get(Table::history, key(version));
    if (!row) throw CorruptRecord("a version of a contact isn't in its history");
    return projections::read_history(*row);
  }

  // Those from `first` up to `last`, in order. REQUIRES: as entry().
  std::vector<Item> entries(Version first, Version last) const {
    std::vector<Item> items;
    store_.visit_range(Table::history, key(first), key(last + 1), [&](auto at, auto row) {
      items.push_back({keys::history_position(at).version, projections::read_history(row)});
      return true;
    });
    if (items.size() != last + 1 - first) {
      throw CorruptRecord("a version of a contact isn't in its history");
    }
    return items;
  }

  // REQUIRES: there was that version, it is one that has a snapshot, and no deletion.
  Contact snapshot(Version version) const {
    auto row = store_.get(Table::snapshots, keys::snapshot(organization_, contact_, version));
    if (!row) throw CorruptRecord("a history lacks a snapshot");
    return read_contact(*std::move(row)).contact;
  }

  // REQUIRES: there was that version, and it is no deletion.
  Contact contact_in(Version version) const {
    domain::ContactState state;
    const Version start = snapshot_before(version);
    if (start > 0) state = snapshot(start);
    if (start < version) {
      for (const Item& item : entries(start + 1, version)) {
        state = evolve(std::move(state), contact_, item.version, item.entry);
      }
    }
    auto* contact = std::get_if<Contact>(&state);
    if (contact == nullptr) throw CorruptRecord("a history that doesn't begin with a creation");
    return std::move(*contact);
  }

  // The newest version that isn't later than `time`; 0: none. The times of a contact's events never
  // go backwards.
  Version version_at(Version latest, Instant time) const {
    if (entry(latest).time <= time) return latest;
    Version not_later = 0;
    Version later = latest;
    while (later - not_later > 1) {
      const Version middle = not_later + (later - not_later) / 2;
      (entry(middle).time <= time ? not_later : later) = middle;
    }
    return not_later;
  }

  // The newest event up to `version` that changed one of `fields`. A snapshot knows when each field
  // changed last, so this reads less than snapshot_interval rows, however far it looks back.
  std::optional<Item> find(Version version, const std::vector<domain::Field>& fields) const {
    if (version == 0) return std::nullopt;
    const Version start = snapshot_before(version);
    if (start < version) {
      auto items = entries(start + 1, version);
      const auto found = std::find_if(items.rbegin(), items.rend(), [&](const Item& item) {
        return touches(item.entry, fields);
      });
      if (found != items.rend()) return std::move(*found);
    }
    if (start == 0) return std::nullopt;
    // A deletion changes no field, and of it there is no snapshot.
    if (entry(start).kind == HistoryEntry::Kind::deleted) return find(start - 1, fields);
    const Contact then = snapshot(start);
    Version changed = 0;
    for (const domain::Field field : fields) {
      changed = std::max(changed, then.changed_in[domain::index_of(field)]);
    }
    if (changed == 0) return std::nullopt;
    return Item{changed, entry(changed)};
  }

 private:
  std::string key(Version version) const { return keys::history(organization_, contact_, version); }
  bool has(Version version) const { return store_.get(Table::history, key(version)).has_value(); }

  const ReadStore& store_;
  const OrganizationId& organization_;
  const ContactId& contact_;
};

// Fills a page as far as its query bounds it.
class PageFiller {
 public:
  PageFiller(HistoryPage& page, const HistoryQuery& query) : page_(page), query_(query) {}

  bool has_room() const { return page_.items.size() < query_.count; }
  // False, and then something follows the page, if it has no room for the item.
  bool take(Item item) {
    bytes_ += item.entry.changes.size();
    page_.more = !has_room() || (bytes_ > query_.bytes_max && !page_.items.empty());
    if (!page_.more) page_.items.push_back(std::move(item));
    return !page_.more;
  }

 private:
  HistoryPage& page_;
  const HistoryQuery& query_;
  std::size_t bytes_ = 0;
};

// The page that begins with `newest`, unfiltered. Rows may be large, so no more are read at once
// than may well fit.
void take_all(HistoryPage& page, const History& history, Version newest,
              const HistoryQuery& query) {
  PageFiller filler{page, query};
  while (newest > 0 && filler.has_room()) {
    const std::size_t wanted = std::min(history_rows_at_once_max, query.count - page.items.size());
    const Version first = newest > wanted ? newest - wanted + 1 : 1;
    auto items = history.entries(first, newest);
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      if (!filler.take(std::move(*item))) return;
    }
    newest = first - 1;
  }
  page.more = newest > 0;
}

void take_matches(HistoryPage& page, const History& history, Version newest,
                  const HistoryQuery& query) {
  PageFiller filler{page, query};
  for (auto item = history.find(newest, query.fields); item;) {
    const Version next = item->version - 1;
    if (!filler.take(*std::move(item))) return;
    item = history.find(next, query.fields);
  }
}

PastContact contact_or_deletion(const History& history, Version version) {
  const HistoryEntry entry = history.entry(version);
  if (entry.kind == HistoryEntry::Kind::deleted) return AfterDeletion{version, entry.time};
  return history.contact_in(version);
}

// Whether a contact that was created before `at` was still there then.
bool was_there(const ReadStore& store, const OrganizationId& organization, const ContactId& contact,
               Instant at) {
  if (store.contact_row(organization, contact)) return true;
  const History history{store, organization, contact};
  const HistoryEntry last = history.entry(history.latest());
  return last.kind != HistoryEntry::Kind::deleted || last.time > at;
}

}  // namespace

HistoryPage read_history(const ReadStore& store, const OrganizationId& organization,
                         const ContactId& contact, const HistoryQuery& query) {
  const History history{store, organization, contact};
  const Version latest = history.latest();
  if (latest == 0) return {};
  HistoryPage page;
  page.known = true;
  const Version newest = query.before ? std::min(latest, *query.before - 1) : latest;
  if (query.fields.empty()) {
    take_all(page, history, newest, query);
  } else {
    take_matches(page, history, newest, query);
  }
  return page;
}

PastContact read_past_contact(const ReadStore& store, const OrganizationId& organization,
                              const ContactId& contact, const Moment& moment) {
  const History history{store, organization, contact};
  const Version latest = history.latest();
  if (latest == 0) return NeverWas{};
  if (const auto* time = std::get_if<Instant>(&moment)) {
    const Version version = history.version_at(latest, *time);
    if (version == 0) return BeforeCreation{history.entry(1).time};
    return contact_or_deletion(history, version);
  }
  const Version version = std::get<Version>(moment);
  if (version >= 1 && version <= latest) return contact_or_deletion(history, version);
  const bool deleted = history.entry(latest).kind == HistoryEntry::Kind::deleted;
  return NoSuchVersion{deleted ? latest - 1 : latest};
}

PastListPage list_past_contacts(const ReadStore& store, const OrganizationId& organization,
                                const PastListQuery& query) {
  const UpdatePosition after = query.after.value_or(UpdatePosition{});
  const std::string begin =
      keys::by_creation(organization, after.updated_at, query.after ? after.offset + 1 : 0);
  const std::string end = keys::by_creation(organization, {query.at.unix_ms + 1}, 0);
  PastListPage page;
  if (begin >= end) return page;
  std::uint64_t seen = 0;
  store.visit_range(Table::by_creation, begin, end, [&](auto key, auto value) {
    const auto contact = ContactId::parse(value);
    if (!contact) throw CorruptRecord("a row of by_creation names no contact");
    if (!was_there(store, organization, *contact, query.at)) return true;
    if (seen >= query.skip && page.contacts.size() < query.page_size) {
      const History history{store, organization, *contact};
      auto then = contact_or_deletion(history, history.version_at(history.latest(), query.at));
      auto* there = std::get_if<Contact>(&then);
      if (there == nullptr) return true;  // deleted meanwhile, and `at` isn't past yet
      page.contacts.push_back(std::move(*there));
      page.last = keys::update_position(key);
    } else {
      page.more = page.more || seen >= query.skip;
    }
    ++seen;
    return query.count || !page.more;
  });
  page.total = seen;
  return page;
}

}  // namespace contactd::infra
