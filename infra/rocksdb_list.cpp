#include "infra/rocksdb_list.hpp"

#include <rocksdb/snapshot.h>

#include <algorithm>
#include <limits>

#include "domain/json_text.hpp"
#include "infra/errors.hpp"
#include "infra/merged_rows.hpp"
#include "projections/binary.hpp"
#include "projections/checkpoint.hpp"
#include "projections/contact_view.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::ContactId;
using domain::Instant;
using keys::UpdatePosition;

// Of more contacts with a tag than this a page isn't looked for among all of them, but in the order
// of updates, where so many are soon met.
constexpr std::size_t tagged_max = 1'000;
// How much of what is in memory a list looks at, besides what it skips and shows, and how much more
// each time that this isn't enough.
constexpr std::size_t in_memory_first = 256;
constexpr std::uint64_t in_memory_skipped_max = 1U << 20U;
constexpr std::size_t in_memory_growth = 16;

void require_listed(const rocksdb::Status& status) {
  if (!status.ok()) throw StoreUnavailable("can't list contacts: " + status.ToString());
}

// Collects one page out of the matches, which come in order.
class PageBuilder {
 public:
  PageBuilder(const ListQuery& query, std::uint64_t known_total)
      : query_(query), known_total_(known_total) {}

  // Whether a further match could still change the answer.
  bool wants_more() const { return counting() || !page_.more; }
  // Whether the next match is to be read, not counted alone.
  bool wants_row() const {
    return seen_ >= query_.skip && page_.contacts.size() < query_.page_size;
  }

  void add(const UpdatePosition& position, std::string_view json) {
    page_.contacts.emplace_back(json);
    page_.last = position;
    ++seen_;
  }
  void pass() {
    if (seen_ >= query_.skip) page_.more = true;
    ++seen_;
  }
  ListPage finish() {
    page_.total = known_total_ == unknown ? seen_ : known_total_;
    return std::move(page_);
  }

  static constexpr std::uint64_t unknown = std::numeric_limits<std::uint64_t>::max();

 private:
  bool counting() const { return query_.count && known_total_ == unknown; }

  const ListQuery& query_;
  const std::uint64_t known_total_;
  ListPage page_;
  std::uint64_t seen_ = 0;
};

// Whether the canonical text of a list of strings has `item`, itself in canonical text.
bool has_item(std::string_view list, std::string_view item) {
  const auto items = domain::canonical_items(list);
  if (!items) throw CorruptRecord("a contact's tags are no list of strings");
  return std::find(items->begin(), items->end(), item) != items->end();
}

class Lister {
 public:
  Lister(const RocksDb& db, const Generations& generations, const RowReader& row_of,
         const domain::OrganizationId& organization, const ListQuery& query)
      : db_(db),
        generations_(generations),
        row_of_(row_of),
        organization_(organization),
        query_(query) {}

  ListPage run() {
    const UpdatePosition folded = last_folded();
    if (query_.email) return from_candidates({by_email()}, folded);
    if (query_.tag) {
      const auto contacts = by_tag(query_.count ? Generation::all : tagged_max);
      if (contacts) return from_candidates(*contacts, folded);
    }
    return from_update_order();
  }

 private:
  // Rows of one moment, from `begin` up to `end`.
  struct Moment {
    std::shared_ptr<rocksdb::ManagedSnapshot> snapshot;
    Overlay overlay;
    std::optional<std::string> counts;
  };

  Moment moment(Table table, std::string_view begin, std::string_view end,
                std::size_t in_memory_max = Generation::all) const {
    return generations_.at_rest([&] {
      return Moment{std::make_shared<rocksdb::ManagedSnapshot>(&*db_),
                    generations_.overlay(table, begin, end, in_memory_max),
                    get(Table::counts, keys::counts(organization_))};
    });
  }
  // Called at rest.
  std::optional<std::string> get(Table table, const std::string& key) const {
    if (const auto* row = generations_.look_up(table, key)) return *row;
    std::string value;
    const auto status = db_->Get({}, family(table), key, &value);
    if (status.IsNotFound()) return std::nullopt;
    require_listed(status);
    return value;
  }
  rocksdb::ColumnFamilyHandle* family(Table table) const {
    return db_.family(static_cast<std::size_t>(table));
  }
  MergedRows rows(Table table, const Moment& moment, const rocksdb::Slice& end) const {
    rocksdb::ReadOptions options;
    options.snapshot = moment.snapshot->snapshot();
    options.iterate_upper_bound = &end;
    return MergedRows{std::unique_ptr<rocksdb::Iterator>{db_->NewIterator(options, family(table))},
                      moment.overlay};
  }

  bool status_passes(bool active) const { return active ? query_.active : query_.inactive; }

  bool passes(const ContactView& view) const {
    const domain::Contact& contact = view.contact;
    const bool active = contact[domain::Field::status].unquoted() == domain::status_active;
    return status_passes(active) &&
           (!query_.updated_from || contact.updated_at >= *query_.updated_from) &&
           (!query_.updated_to || contact.updated_at <= *query_.updated_to) &&
           (!query_.after || position_of(view) > *query_.after) && has_email(contact) &&
           has_tag(contact);
  }
  bool has_email(const domain::Contact& contact) const {
    const domain::FieldView email = contact[domain::Field::email];
    return !query_.email || (!email.is_null() && email.unquoted() == *query_.email);
  }
  bool has_tag(const domain::Contact& contact) const {
    return !query_.tag ||
           has_item(contact[domain::Field::tags].json(), domain::json_string(*query_.tag));
  }

  static UpdatePosition position_of(const ContactView& view) {
    return {view.contact.updated_at, view.offset};
  }

  // No contact has changed after this, and each change that is yet to come lies after it.
  UpdatePosition last_folded() const {
    if (!query_.partition) {
      return {Instant{std::numeric_limits<std::int64_t>::max()},
              std::numeric_limits<std::uint64_t>::max()};
    }
    const auto row =
        generations_.at_rest([&] { return get(Table::meta, keys::checkpoint(*query_.partition)); });
    const Checkpoint checkpoint = row ? read_checkpoint(*row) : Checkpoint{};
    return {checkpoint.last_time, std::max<std::uint64_t>(checkpoint.next_offset, 1) - 1};
  }

  std::optional<ContactId> by_email() const {
    const auto holder = generations_.at_rest(
        [&] { return get(Table::emails, keys::email(organization_, *query_.email)); });
    return holder ? ContactId::parse(*holder) : std::nullopt;
  }

  // Nothing if there are more than `count_max`.
  std::optional<std::vector<std::optional<ContactId>>> by_tag(std::size_t count_max) const {
    std::vector<std::optional<ContactId>> contacts;
    const std::string prefix = keys::tag_prefix(organization_, *query_.tag);
    const std::string end = keys::prefix_end(prefix);
    const rocksdb::Slice bound = end;
    MergedRows at = rows(Table::tags, moment(Table::tags, prefix, end), bound);
    for (at.seek(prefix); at.valid(); at.next()) {
      if (contacts.size() == count_max) return std::nullopt;
      contacts.emplace_back(keys::tagged_contact(at.key()));
    }
    at.require_ok();
    return contacts;
  }

  // The way in by email or tag: few contacts, in no useful order. They were looked up after
  // `folded`, and are read one after the other, while they change: the next page begins after
  // `folded` at the latest, so that what has changed since comes again there, whichever of it is
  // met here.
  ListPage from_candidates(const std::vector<std::optional<ContactId>>& candidates,
                           const UpdatePosition& folded) const {
    std::vector<std::pair<UpdatePosition, ContactId>> matches;
    for (const auto& candidate : candidates) {
      auto row = candidate ? row_of_(*candidate) : std::nullopt;
      if (!row) continue;
      const ContactView contact = read_contact(*std::move(row));
      if (passes(contact)) matches.emplace_back(position_of(contact), *candidate);
    }
    std::sort(matches.begin(), matches.end());
    PageBuilder page{query_, PageBuilder::unknown};
    for (const auto& [position, contact] : matches) {
      if (page.wants_row()) {
        add(page, position, std::min(position, folded), contact);
      } else {
        page.pass();
      }
    }
    return page.finish();
  }

  std::uint64_t total_if_known(const Moment& moment) const {
    if (query_.updated_from || query_.updated_to) return PageBuilder::unknown;
    const auto counts = read_counts(moment.counts);
    return (query_.active ? counts.active : 0) + (query_.inactive ? counts.inactive : 0);
  }

  // The first key of `time`. No contact is older than 1970, whose times would sort last.
  std::string key_at(Instant time) const {
    return keys::by_update(organization_, std::max(time, Instant{}), 0);
  }

  std::string first_key() const {
    const Instant from = query_.updated_from.value_or(Instant{});
    if (query_.after && query_.after->updated_at >= from) {
      return keys::by_update(organization_, query_.after->updated_at, query_.after->offset + 1);
    }
    return key_at(from);
  }

  std::string key_past_the_last() const {
    if (!query_.updated_to) {
      return key_at(Instant{std::numeric_limits<std::int64_t>::max()});
    }
    return key_at(Instant{query_.updated_to->unix_ms + 1});
  }

  // What is in memory of the range is copied while nothing can be committed: at first only as much
  // of it as a page most likely needs, and more as long as that isn't enough.
  ListPage from_update_order() const {
    const std::uint64_t skipped = std::min(query_.skip, in_memory_skipped_max);
    for (std::size_t in_memory_max = in_memory_first + 2 * (skipped + query_.page_size);;
         in_memory_max *= in_memory_growth) {
      if (auto page = from_update_order(in_memory_max)) return *std::move(page);
    }
  }

  // Nothing if `in_memory_max` rows weren't enough.
  std::optional<ListPage> from_update_order(std::size_t in_memory_max) const {
    const std::string first = first_key();
    const std::string end = key_past_the_last();
    const Moment now = moment(Table::by_update, first, end, in_memory_max);
    const rocksdb::Slice bound = now.overlay.cut ? *now.overlay.cut : end;
    PageBuilder page{query_, query_.count ? total_if_known(now) : PageBuilder::unknown};
    MergedRows at = rows(Table::by_update, now, bound);
    for (at.seek(first); at.valid() && page.wants_more(); at.next()) {
      const std::string_view value = at.value();
      if (value.size() != ContactId::length + 1) throw CorruptRecord("a row of by_update");
      if (!status_passes(value.back() == 'a')) continue;
      if (!page.wants_row()) {
        page.pass();
        continue;
      }
      const auto contact = ContactId::parse(value.substr(0, ContactId::length));
      if (!contact) throw CorruptRecord("a row of by_update names no contact");
      const UpdatePosition position = keys::update_position(at.key());
      add(page, position, position, *contact);
    }
    at.require_ok();
    if (page.wants_more() && now.overlay.cut) return std::nullopt;
    return page.finish();
  }

  // One that has changed since it was at this position comes again later in the order, if it still
  // matches; here it is shown as it is now, or left out. The next page begins after `next_after`.
  void add(PageBuilder& page, const UpdatePosition& position, const UpdatePosition& next_after,
           const ContactId& contact) const {
    const auto row = row_of_(contact);
    if (!row) return;
    const auto document = read_document(*row);
    const bool look = query_.tag || document.offset != position.offset;
    if (look && !passes(read_contact(*row))) return;
    page.add(next_after, document.json);
  }

  const RocksDb& db_;
  const Generations& generations_;
  const RowReader& row_of_;
  const domain::OrganizationId& organization_;
  const ListQuery& query_;
};

}  // namespace

ListPage list_contacts(const RocksDb& db, const Generations& generations, const RowReader& row_of,
                       const domain::OrganizationId& organization, const ListQuery& query) {
  return Lister{db, generations, row_of, organization, query}.run();
}

}  // namespace contactd::infra
