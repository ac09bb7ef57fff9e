#include "infra/rocksdb_list.hpp"

#include <rocksdb/snapshot.h>

#include <algorithm>
#include <limits>

#include "infra/errors.hpp"
#include "projections/binary.hpp"
#include "projections/contact_view.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::ContactId;
using domain::Instant;
using keys::UpdatePosition;

void require(const rocksdb::Status& status) {
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

class Lister {
 public:
  Lister(rocksdb::DB& db, const TableFamilies& family, const domain::OrganizationId& organization,
         const ListQuery& query)
      : db_(db), family_(family), organization_(organization), query_(query), snapshot_(&db) {
    options_.snapshot = snapshot_.snapshot();
  }

  ListPage run() {
    if (query_.email) return from_candidates({by_email()});
    if (query_.tag) return from_candidates(by_tag());
    return from_update_order();
  }

 private:
  std::optional<std::string> get(Table table, const std::string& key) const {
    std::string value;
    const auto status = db_.Get(options_, family_(table), key, &value);
    if (status.IsNotFound()) return std::nullopt;
    require(status);
    return value;
  }

  std::optional<std::string> row_of(const ContactId& contact) const {
    return get(Table::contacts, keys::contact(organization_, contact));
  }

  bool status_passes(bool active) const { return active ? query_.active : query_.inactive; }

  bool passes(const ContactView& view) const {
    const domain::Contact& contact = view.contact;
    const bool active = contact[domain::Field::status].unquoted() == domain::status_active;
    return status_passes(active) &&
           (!query_.updated_from || contact.updated_at >= *query_.updated_from) &&
           (!query_.updated_to || contact.updated_at <= *query_.updated_to) &&
           (!query_.after || position_of(view) > *query_.after) && has_tag(contact);
  }

  // Only asked where the email was the way in; the way in by tag has looked already.
  bool has_tag(const domain::Contact& contact) const {
    return !query_.email || !query_.tag ||
           get(Table::tags, keys::tag(organization_, *query_.tag, contact.id)).has_value();
  }

  static UpdatePosition position_of(const ContactView& view) {
    return {view.contact.updated_at, view.offset};
  }

  std::optional<ContactId> by_email() const {
    const auto holder = get(Table::emails, keys::email(organization_, *query_.email));
    return holder ? ContactId::parse(*holder) : std::nullopt;
  }

  std::vector<std::optional<ContactId>> by_tag() const {
    std::vector<std::optional<ContactId>> contacts;
    const std::string prefix = keys::tag_prefix(organization_, *query_.tag);
    const std::unique_ptr<rocksdb::Iterator> at{db_.NewIterator(options_, family_(Table::tags))};
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
      contacts.emplace_back(keys::tagged_contact(view(at->key())));
    }
    require(at->status());
    return contacts;
  }

  // The way in by email or tag: few contacts, in no useful order.
  ListPage from_candidates(const std::vector<std::optional<ContactId>>& candidates) const {
    std::vector<std::pair<UpdatePosition, ContactId>> matches;
    for (const auto& candidate : candidates) {
      auto row = candidate ? row_of(*candidate) : std::nullopt;
      if (!row) continue;
      const ContactView contact = read_contact(*std::move(row));
      if (passes(contact)) matches.emplace_back(position_of(contact), *candidate);
    }
    std::sort(matches.begin(), matches.end());
    PageBuilder page{query_, PageBuilder::unknown};
    for (const auto& [position, contact] : matches) {
      if (page.wants_row()) {
        page.add(position, read_document(*row_of(contact)).json);
      } else {
        page.pass();
      }
    }
    return page.finish();
  }

  std::uint64_t total_if_known() const {
    if (query_.updated_from || query_.updated_to) return PageBuilder::unknown;
    const auto counts = read_counts(get(Table::counts, keys::counts(organization_)));
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

  ListPage from_update_order() const {
    PageBuilder page{query_, query_.count ? total_if_known() : PageBuilder::unknown};
    const std::string end = key_past_the_last();
    const rocksdb::Slice bound = end;
    rocksdb::ReadOptions options = options_;
    options.iterate_upper_bound = &bound;
    const std::unique_ptr<rocksdb::Iterator> at{
        db_.NewIterator(options, family_(Table::by_update))};
    for (at->Seek(first_key()); at->Valid() && page.wants_more(); at->Next()) {
      const std::string_view value = view(at->value());
      if (value.size() != ContactId::length + 1) throw CorruptRecord("a row of by_update");
      if (!status_passes(value.back() == 'a')) continue;
      if (!page.wants_row()) {
        page.pass();
        continue;
      }
      const auto contact = ContactId::parse(value.substr(0, ContactId::length));
      const auto row = contact ? row_of(*contact) : std::nullopt;
      if (!row) throw CorruptRecord("by_update names a contact that isn't there");
      page.add(keys::update_position(view(at->key())), read_document(*row).json);
    }
    require(at->status());
    return page.finish();
  }

  rocksdb::DB& db_;
  const TableFamilies& family_;
  const domain::OrganizationId& organization_;
  const ListQuery& query_;
  rocksdb::ManagedSnapshot snapshot_;
  rocksdb::ReadOptions options_;
};

}  // namespace

ListPage list_contacts(rocksdb::DB& db, const TableFamilies& family,
                       const domain::OrganizationId& organization, const ListQuery& query) {
  return Lister{db, family, organization, query}.run();
}

}  // namespace contactd::infra
