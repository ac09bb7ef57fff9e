#include "projections/fold.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "domain/contact/decide.hpp"
#include "projections/api_key_record.hpp"
#include "projections/binary.hpp"
#include "projections/feed.hpp"
#include "projections/history.hpp"
#include "projections/idempotency.hpp"
#include "projections/prefetch.hpp"
#include "projections/webhook_record.hpp"

namespace contactd::projections {

using namespace domain;

namespace {

[[noreturn]] void broken(std::uint64_t offset, std::string_view what) {
  throw broken_event(offset, what);
}

const Contact* contact_of(const std::shared_ptr<const ContactView>& view) {
  return view == nullptr ? nullptr : &view->contact;
}

std::size_t field_bytes_of(const std::shared_ptr<const ContactView>& view) {
  return view == nullptr ? 0 : view->contact.values.bytes();
}

bool is_active(const Contact& contact) {
  return contact[Field::status].unquoted() == status_active;
}

// How many bytes the values of most contacts take.
constexpr std::size_t values_bytes = 192;

// Whether it is active; of no contact: nothing.
std::optional<bool> activity_of(const Contact* contact) {
  if (contact == nullptr) return std::nullopt;
  return is_active(*contact);
}

FieldView email_of(const Contact* contact) {
  return contact == nullptr ? FieldView{} : (*contact)[Field::email];
}

// Of a contact whose row may not have been rendered yet.
std::string row_of(const ContactView& view) {
  return view.row.empty() ? render(view.contact, view.offset).row : view.row;
}
std::string json_of(const ContactView& view) {
  return view.row.empty() ? std::string{render(view.contact, view.offset).json()}
                          : std::string{view.json()};
}

// What the indexes say of a contact, and no more.
std::shared_ptr<const ContactView> outline_of(const std::shared_ptr<const ContactView>& view) {
  if (view == nullptr) return nullptr;
  ContactView outline;
  outline.contact.id = view->contact.id;
  outline.contact.updated_at = view->contact.updated_at;
  outline.offset = view->offset;
  for (const Field field : {Field::email, Field::tags}) {
    outline.contact.values.set(field, view->contact[field]);
  }
  return std::make_shared<const ContactView>(std::move(outline));
}

std::string by_update_value(const Contact& contact) {
  std::string value = contact.id.str();
  value += is_active(contact) ? 'a' : 'i';
  return value;
}

// Its tags in canonical text, each once, sorted; of no contact: none.
std::vector<std::string_view> tags_of(const Contact* contact) {
  if (contact == nullptr) return {};
  auto tags = canonical_items((*contact)[Field::tags].json());
  if (!tags) throw CorruptRecord("a contact's tags are no list of strings");
  std::sort(tags->begin(), tags->end());
  tags->erase(std::unique(tags->begin(), tags->end()), tags->end());
  return *std::move(tags);
}

const std::vector<FieldChange>* changes_of(const ContactCreated& event) { return &event.changes; }
const std::vector<FieldChange>* changes_of(const ContactUpdated& event) { return &event.changes; }
const std::vector<FieldChange>* changes_of(const ContactDeleted&) { return nullptr; }

void prefetch_view(const ContactView* view) {
  if (view != nullptr) prefetch(view, sizeof(*view));
}
void prefetch_values(const ContactView* view) {
  if (view == nullptr) return;
  prefetch(view->contact[field_table.front().field].json().data(), values_bytes);
}

// The event's rows in its contact's history and in its organization's feed.
template <class ContactEvent>
void put_event(WriteSink& sink, std::uint64_t offset, HistoryEntry::Kind kind,
               const RecordedEvent& recorded, const ContactEvent& event, Version version) {
  sink.put(Table::feed, keys::feed(recorded.organization, offset),
           encode_feed(kind, event.contact, version));
  sink.put(Table::history, keys::history(recorded.organization, event.contact, version),
           encode_history(kind, recorded, changes_of(event)));
}

}  // namespace

FoldBatch::FoldBatch(std::uint32_t partition, const Checkpoint& from, const StateReader& confirmed,
                     WriteSink& sink, Rows rows)
    : partition_(partition), checkpoint_(from), confirmed_(confirmed), sink_(sink), rows_(rows) {}

FoldBatch::Result FoldBatch::apply(std::uint64_t offset, const RecordedEvent& event,
                                   std::string_view canonical) {
  const Context context{offset, event, checkpoint_.last_time};
  const Admission admission = admit_in_chain(checkpoint_, offset, event, canonical);
  if (admission != Admission::current) return {admission, nullptr};
  // The records of the days before yesterday have all expired.
  const std::uint32_t day = keys::day_of(event.time);
  if (day > keys::day_of(context.previous_time) && day > 1) {
    sink_.remove_range(Table::idempotency, keys::idempotency_day(partition_, 0),
                       keys::idempotency_day(partition_, day - 1));
  }
  View contact = std::visit([&](const auto& fact) { return on(context, fact); }, event.event);
  if (event.idempotency) put_idempotency(context, contact);
  return {admission, std::move(contact)};
}

FoldBatch::View FoldBatch::on(const Context& context, const ContactCreated& event) {
  const RecordedEvent& recorded = context.event;
  auto& touched = find(recorded.organization, event.contact);
  if (touched.second.now != nullptr) {
    broken(context.offset, "creates a contact that is there already");
  }
  const View after = put(touched, evolve(ContactState{}, event, recorded.time), context.offset);
  put_event(sink_, context.offset, HistoryEntry::Kind::created, recorded, event, 1);
  sink_.put(Table::by_creation,
            keys::by_creation(recorded.organization, after->contact.created_at, context.offset),
            event.contact.str());
  return after;
}

FoldBatch::View FoldBatch::on(const Context& context, const ContactUpdated& event) {
  const RecordedEvent& recorded = context.event;
  auto& touched = find(recorded.organization, event.contact);
  const View& before = touched.second.now;
  if (before == nullptr) broken(context.offset, "updates a contact that isn't there");
  if (event.version != before->contact.version + 1) {
    broken(context.offset, "gives a contact a version that isn't its next");
  }
  const View after = update(touched, event, recorded.time, context.offset);
  put_event(sink_, context.offset, HistoryEntry::Kind::updated, recorded, event, event.version);
  if (event.version % snapshot_interval == 0) {
    sink_.put(Table::snapshots, keys::snapshot(recorded.organization, event.contact, event.version),
              row_of(*after));
  }
  return after;
}

FoldBatch::View FoldBatch::on(const Context& context, const ContactDeleted& event) {
  const RecordedEvent& recorded = context.event;
  auto& touched = find(recorded.organization, event.contact);
  const View& before = touched.second.now;
  if (before == nullptr) broken(context.offset, "deletes a contact that isn't there");
  if (event.version != before->contact.version + 1) {
    broken(context.offset, "gives a contact a version that isn't its next");
  }
  replace(touched, nullptr);
  put_event(sink_, context.offset, HistoryEntry::Kind::deleted, recorded, event, event.version);
  return nullptr;
}

FoldBatch::View FoldBatch::on(const Context& context, const ApiKeyCreated& event) {
  put_api_key(key_made_by(event, context.event.organization, context.event.time));
  if (event.replaces) {
    ApiKey old = api_key(context, event.replaces->key, "replaces an API key that isn't there");
    put_api_key(evolve(std::move(old), *event.replaces));
  }
  return nullptr;
}

FoldBatch::View FoldBatch::on(const Context& context, const ApiKeyRevoked& event) {
  ApiKey key = api_key(context, event.key, "revokes an API key that isn't there");
  put_api_key(evolve(std::move(key), event, context.event.time));
  return nullptr;
}

ApiKey FoldBatch::api_key(const Context& context, const KeyId& id, const char* problem) {
  if (const auto touched = api_keys_.find(id); touched != api_keys_.end()) return touched->second;
  const auto row = confirmed_.get(Table::api_keys, id);
  if (!row) broken(context.offset, problem);
  return read_api_key(id, *row);
}

void FoldBatch::put_api_key(const ApiKey& key) {
  sink_.put(Table::api_keys, key.id, encode(key));
  api_keys_[key.id] = key;
}

FoldBatch::View FoldBatch::on(const Context& context, const RequestAnswered& event) {
  const auto* unchanged = std::get_if<ContactId>(&event.answer);
  if (unchanged == nullptr) return nullptr;
  View contact = find(context.event.organization, *unchanged).second.now;
  if (contact == nullptr) broken(context.offset, "answers with a contact that isn't there");
  return contact;
}

FoldBatch::View FoldBatch::on(const Context&, const WriterClaimed&) { return nullptr; }

template <class WebhookEvent>
FoldBatch::View FoldBatch::on(const Context& context, const WebhookEvent& event) {
  std::string key = keys::webhook(context.event.organization, event.webhook);
  auto known = webhooks_.find(key);
  if (known == webhooks_.end()) {
    const auto row = confirmed_.get(Table::webhooks, key);
    auto webhook = row ? std::optional{read_webhook(key, *row)} : std::nullopt;
    known = webhooks_.emplace(key, std::move(webhook)).first;
  }
  std::optional<Webhook>& webhook = known->second;
  constexpr bool creates = std::is_same_v<WebhookEvent, WebhookCreated>;
  if (creates && webhook) broken(context.offset, "creates a webhook that is there already");
  if (!creates && !webhook) broken(context.offset, "is about a webhook that isn't there");
  webhook = evolve(std::move(webhook), context.event, context.offset);
  if (webhook) {
    sink_.put(Table::webhooks, std::move(key), encode(*webhook));
  } else {
    sink_.remove(Table::webhooks, std::move(key));
  }
  return nullptr;
}

FoldBatch::Contacts::value_type& FoldBatch::find(const OrganizationId& organization,
                                                 const ContactId& contact) {
  const auto [found, fresh] = contacts_.try_emplace(ContactRef{contact, organization});
  if (fresh) {
    Touched& touched = found->second;
    touched.now = confirmed_.contact(organization, contact);
    contact_bytes_ += field_bytes_of(touched.now);
    if (rows_ == Rows::of_the_end) touched.before = outline_of(touched.now);
  }
  return *found;
}

// The contact's next state, as a view that this batch has made.
FoldBatch::View FoldBatch::put(Contacts::value_type& touched, ContactState state,
                               std::uint64_t offset) {
  auto& contact = std::get<Contact>(state);
  if (rows_ == Rows::of_each_event) {
    replace(touched, std::make_shared<const ContactView>(render(std::move(contact), offset)));
    return touched.second.now;
  }
  const auto view = std::make_shared<ContactView>(ContactView{std::move(contact), offset, {}});
  replace(touched, view);
  touched.second.own = view.get();
  return view;
}

FoldBatch::View FoldBatch::update(Contacts::value_type& touched, const ContactUpdated& event,
                                  Instant time, std::uint64_t offset) {
  const View& now = touched.second.now;
  ContactView* const own = touched.second.own;
  if (own == nullptr || now.use_count() > 1) {
    return put(touched, evolve(ContactState{now->contact}, event, time), offset);
  }
  // Nobody else has it: it is changed where it is, which spares a copy of the contact.
  const auto before = activity_of(&own->contact);
  contact_bytes_ -= field_bytes_of(now);
  own->contact = std::get<Contact>(evolve(ContactState{std::move(own->contact)}, event, time));
  own->offset = offset;
  contact_bytes_ += field_bytes_of(now);
  replace_count(touched.first.organization, before, activity_of(&own->contact));
  return now;
}

void FoldBatch::replace(Contacts::value_type& touched, const View& after) {
  const OrganizationId& organization = touched.first.organization;
  const View before = std::exchange(touched.second.now, after);
  touched.second.own = nullptr;
  touched.second.changed = true;
  contact_bytes_ += field_bytes_of(after);
  contact_bytes_ -= field_bytes_of(before);
  replace_count(organization, activity_of(contact_of(before)), activity_of(contact_of(after)));
  if (rows_ == Rows::of_the_end) return;
  give_up_email(organization, before, after);
  write_rows(touched.first, before, after);
}

// Each pass loads where the next one looks; within a pass the loads don't wait for each other.
void FoldBatch::foresee(std::span<const RecordedEvent* const> events) const {
  if (rows_ != Rows::of_the_end) return;
  std::array<ContactRef, foreseen_max> refs;
  std::array<const ContactView*, foreseen_max> views{};
  std::size_t count = 0;
  for (const RecordedEvent* event : events) {
    const ContactId* contact = subject_of(event->event).contact;
    if (contact == nullptr) continue;
    refs[count] = {*contact, event->organization};
    contacts_.prefetch(refs[count++]);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = contacts_.find(refs[i]);
    if (found == contacts_.end()) continue;
    views[i] = found->second.now.get();
    prefetch_view(views[i]);
  }
  for (const ContactView* view : views) prefetch_values(view);
}

void FoldBatch::write_held_back() {
  std::vector<const Contacts::value_type*> changed;
  changed.reserve(contacts_.size());
  for (const auto& contact : contacts_) {
    if (contact.second.changed) changed.push_back(&contact);
  }
  const auto foreseeing = [&changed](const auto& visit) {
    for (std::size_t i = 0; i < changed.size(); ++i) {
      if (i + 2 * prefetch_ahead < changed.size()) {
        prefetch_view(changed[i + 2 * prefetch_ahead]->second.now.get());
      }
      if (i + prefetch_ahead < changed.size()) {
        prefetch_values(changed[i + prefetch_ahead]->second.now.get());
      }
      visit(changed[i]->first, changed[i]->second);
    }
  };
  foreseeing([this](const ContactRef& ref, const Touched& touched) {
    give_up_email(ref.organization, touched.before, touched.now);
  });
  foreseeing([this](const ContactRef& ref, const Touched& touched) {
    write_rows(ref, touched.before, touched.now);
  });
}

void FoldBatch::write_rows(const ContactRef& ref, const View& before, const View& after) {
  const OrganizationId& organization = ref.organization;
  const Contact* old = contact_of(before);
  const Contact* now = contact_of(after);
  if (old == nullptr && now == nullptr) return;  // came and went within the batch
  if (old != nullptr) {
    sink_.remove_once(Table::by_update,
                      keys::by_update(organization, old->updated_at, before->offset));
  }
  if (now == nullptr) {
    sink_.remove(Table::contacts, keys::contact(organization, ref.contact));
  } else {
    sink_.put(Table::contacts, keys::contact(organization, ref.contact), row_of(*after));
    sink_.put(Table::by_update, keys::by_update(organization, now->updated_at, after->offset),
              by_update_value(*now));
  }
  take_email(organization, old, now);
  replace_tags(organization, old, now);
}

void FoldBatch::give_up_email(const OrganizationId& organization, const View& before,
                              const View& after) {
  const FieldView from = email_of(contact_of(before));
  if (from.is_null() || from == email_of(contact_of(after))) return;
  sink_.remove(Table::emails, keys::email(organization, from.unquoted()));
}

void FoldBatch::take_email(const OrganizationId& organization, const Contact* before,
                           const Contact* after) {
  const FieldView to = email_of(after);
  if (to.is_null() || to == email_of(before)) return;
  sink_.put(Table::emails, keys::email(organization, to.unquoted()), after->id.str());
}

void FoldBatch::replace_tags(const OrganizationId& organization, const Contact* before,
                             const Contact* after) {
  const bool same =
      before != nullptr && after != nullptr && (*before)[Field::tags] == (*after)[Field::tags];
  if (same) return;
  const ContactId& contact = after == nullptr ? before->id : after->id;
  const std::vector<std::string_view> from = tags_of(before);
  const std::vector<std::string_view> to = tags_of(after);
  const auto key = [&](std::string_view tag) {
    return keys::tag(organization, text_of_canonical(tag), contact);
  };
  for (const std::string_view tag : from) {
    if (!std::binary_search(to.begin(), to.end(), tag)) sink_.remove(Table::tags, key(tag));
  }
  for (const std::string_view tag : to) {
    if (!std::binary_search(from.begin(), from.end(), tag)) sink_.put(Table::tags, key(tag), {});
  }
}

void FoldBatch::replace_count(const OrganizationId& organization, std::optional<bool> before,
                              std::optional<bool> after) {
  if (before && before == after) return;
  Counts& counts = counts_of(organization);
  if (before) --(*before ? counts.active : counts.inactive);
  if (after) ++(*after ? counts.active : counts.inactive);
}

FoldBatch::Counts& FoldBatch::counts_of(const OrganizationId& organization) {
  std::string key = keys::counts(organization);
  auto found = counts_.find(key);
  if (found == counts_.end()) {
    const ContactCounts stored = read_counts(confirmed_.get(Table::counts, key));
    found = counts_.emplace(std::move(key), Counts{stored.active, stored.inactive}).first;
  }
  return found->second;
}

void FoldBatch::put_idempotency(const Context& context, const View& contact) {
  const RecordedEvent& recorded = context.event;
  IdempotencyRecord record{recorded.idempotency->request, recorded.time, DeletedAnswer{}};
  const auto* answered = std::get_if<RequestAnswered>(&recorded.event);
  if (contact != nullptr) {
    const bool created = std::holds_alternative<ContactCreated>(recorded.event);
    record.answer = ContactAnswer{created, contact->contact.version, json_of(*contact)};
  } else if (const auto* deleted = std::get_if<ContactDeleted>(&recorded.event)) {
    record.answer = DeletedAnswer{deleted->contact};
  } else if (answered != nullptr) {
    record.answer = std::get<Rejection>(answered->answer);
  } else {
    broken(context.offset, "has an idempotency key, which events of its type can't");
  }
  sink_.put(Table::idempotency,
            keys::idempotency(partition_, keys::day_of(recorded.time), recorded.idempotency->key),
            encode(record));
}

void FoldBatch::finish() {
  if (rows_ == Rows::of_the_end) write_held_back();
  for (const auto& [key, counts] : counts_) {
    std::string record;
    append_number(record, counts.active);
    append_number(record, counts.inactive);
    sink_.put(Table::counts, key, std::move(record));
  }
  sink_.put(Table::meta, keys::checkpoint(partition_), encode(checkpoint_));
}

ContactCounts read_counts(const std::optional<std::string>& record) {
  if (!record) return {};
  BinaryReader reader{*record};
  const auto active = reader.number<std::uint64_t>();
  return {active, reader.number<std::uint64_t>()};
}

}  // namespace contactd::projections
