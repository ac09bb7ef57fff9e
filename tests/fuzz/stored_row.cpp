#include "domain/contact/decide.hpp"
#include "projections/api_key_record.hpp"
#include "projections/binary.hpp"
#include "projections/checkpoint.hpp"
#include "projections/contact_view.hpp"
#include "projections/history.hpp"
#include "projections/idempotency.hpp"
#include "projections/key_layout.hpp"
#include "tests/fuzz/targets.hpp"

// The first byte says which row or key the rest is.
namespace contactd::fuzz {
namespace {

using namespace projections;

void read_row(char kind, std::string_view row) {
  switch (kind) {
    case 'a': {
      const std::string written = encode(read_api_key("k", row));
      require(encode(read_api_key("k", written)) == written,
              "an API key's row reads back as it was written");
      return;
    }
    case 'c':
      read_document(row);
      read_contact(std::string{row});
      return;
    case 'h': {
      const HistoryEntry entry = read_history(row);
      if (entry.kind != HistoryEntry::Kind::deleted) read_changes(entry.changes);
      return;
    }
    case 'i':
      read_idempotency(row);
      return;
    case 'p':
      read_checkpoint(row);
      return;
    case 'k':
      keys::history_position(row);
      return;
    case 'u':
      keys::update_position(row);
      return;
    case 't':
      keys::tagged_contact(row);
      return;
    default:
      return;
  }
}

}  // namespace

void stored_row(std::string_view input) {
  if (input.empty()) return;
  try {
    read_row(input.front(), input.substr(1));
  } catch (const CorruptRecord&) {
    // The one thing that a row which isn't one may bring about.
  }
}

std::vector<std::string> stored_row_seeds() {
  const auto id = *domain::ContactId::parse("AbCdEfGhIjKlMnOpQrSt");
  const auto acme = *domain::OrganizationId::parse("acme");
  const domain::Instant noon{1'752'575'400'000};
  const std::vector<domain::FieldChange> changes = {
      {domain::Field::company, {}, domain::FieldValue::text("Acme \"x\"")}};
  const auto contact = std::get<domain::Contact>(
      domain::evolve(domain::ContactState{}, domain::ContactCreated{id, changes}, noon));
  domain::RecordedEvent event;
  event.time = noon;
  event.actor = "key1";
  domain::ApiKey key{"k", acme, "ci", {domain::Scope::read}, {}, noon, {}};
  const std::string plain_key = encode(key);
  key.revoked_at = noon;
  key.expires_at = noon;
  key.replaces = "k0";
  const ContactView view = render(contact, 5);
  return {
      "a" + plain_key,
      "a" + encode(key),
      "c" + view.row,
      "h" + encode_history(HistoryEntry::Kind::updated, event, &changes),
      "h" + encode_history(HistoryEntry::Kind::deleted, event, nullptr),
      "i" + encode(IdempotencyRecord{{}, noon, ContactAnswer{true, 1, std::string{view.json()}}}),
      "i" + encode(IdempotencyRecord{{}, noon, DeletedAnswer{id}}),
      "i" + encode(IdempotencyRecord{{}, noon, domain::Rejection{domain::EmailTaken{id}}}),
      "p" + encode(Checkpoint{1, 2, 3, noon}),
      "k" + keys::history(acme, id, 3),
      "u" + keys::by_update(acme, noon, 9),
      "t" + keys::tag(acme, "vip", id)};
}

}  // namespace contactd::fuzz
