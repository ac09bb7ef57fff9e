#include "infra/cloud_event.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "domain/event_codec.hpp"
#include "projections/event_chain.hpp"

namespace contactd::infra {
namespace {

constexpr std::string_view prefix_of_types = "contactd.";
constexpr std::string_view content_type = "application/json";
constexpr std::string_view spec_version = "1.0";

enum Header : std::size_t {
  header_content_type,
  header_specversion,
  header_id,
  header_source,
  header_type,
  header_time,
  header_dataschema,
  header_subject,
  header_contactversion,
  header_organization,
  header_actor,
  header_requestid,
  header_claim,
  header_claimsequence,
  header_idempotencykey,
  header_idempotencyrequest,
  header_chainhash,
};
constexpr std::array<std::string_view, header_chainhash + 1> header_names = {
    "content-type",
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_dataschema",
    "ce_subject",
    "ce_contactversion",
    "ce_organization",
    "ce_actor",
    "ce_requestid",
    "ce_claim",
    "ce_claimsequence",
    "ce_idempotencykey",
    "ce_idempotencyrequest",
    "ce_chainhash"};

struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The known headers of a record.
class Headers {
 public:
  explicit Headers(std::span<const KafkaHeaderView> headers) {
    // contactd writes them in this order, so that each is mostly the next one.
    auto next = header_names.begin();
    for (const auto& [name, value] : headers) {
      auto known = std::find(next, header_names.end(), name);
      if (known == header_names.end()) {
        known = std::find(header_names.begin(), next, name);
        if (known == next) continue;
      }
      next = known + 1;
      auto& place = values_[static_cast<std::size_t>(known - header_names.begin())];
      if (!place) {
        place = value;
      } else if (repeated_.empty()) {
        repeated_ = *known;
      }
      ours_ = ours_ || (*known == header_names[header_type] && value.starts_with(prefix_of_types));
    }
  }

  bool ours() const { return ours_; }
  void refuse_repeated() const {
    if (!repeated_.empty()) throw Unreadable("it has header " + std::string{repeated_} + " twice");
  }
  std::optional<std::string_view> find(Header header) const { return values_[header]; }
  std::string_view text(Header header) const {
    if (!values_[header]) {
      throw Unreadable("it lacks header " + std::string{header_names[header]});
    }
    return *values_[header];
  }
  // Throws Unreadable unless the header has this value.
  void require(Header header, std::string_view value) const {
    if (text(header) != value) throw wrong(header);
  }
  void require_absent(Header header) const {
    if (values_[header]) throw wrong(header);
  }
  std::uint64_t number(Header header) const {
    const std::string_view digits = text(header);
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (ec != std::errc{} || end != digits.data() + digits.size()) throw wrong(header);
    return value;
  }
  template <class Parse>
  auto parsed(Header header, Parse parse) const {
    const auto value = parse(text(header));
    if (!value) throw wrong(header);
    return *value;
  }
  static Unreadable wrong(Header header) {
    return Unreadable("its header " + std::string{header_names[header]} +
                      " isn't what contactd writes there");
  }

 private:
  std::array<std::optional<std::string_view>, header_names.size()> values_;
  std::string_view repeated_;
  bool ours_ = false;
};

domain::Event read_event(const Headers& headers, std::string_view data) {
  const std::string_view type = headers.text(header_type);
  auto decoded = domain::decode_data(type, data);
  if (const auto* problem = std::get_if<domain::Undecodable>(&decoded)) {
    throw Unreadable("of type " + std::string{type} + ": " + problem->reason);
  }
  return std::get<domain::Event>(std::move(decoded));
}

std::optional<domain::IdempotencyStamp> read_idempotency(const Headers& headers) {
  if (!headers.find(header_idempotencykey)) {
    headers.require_absent(header_idempotencyrequest);
    return std::nullopt;
  }
  return domain::IdempotencyStamp{
      headers.parsed(header_idempotencykey, domain::digest_from_hex),
      headers.parsed(header_idempotencyrequest, domain::digest_from_hex)};
}

// The headers repeat what the data says, for consumers that route by them.
void require_agreement(const Headers& headers, const domain::Event& event) {
  const domain::Subject subject = domain::subject_of(event);
  if (subject.contact == nullptr) {
    headers.require_absent(header_subject);
    headers.require_absent(header_contactversion);
    return;
  }
  headers.require(header_subject, subject.contact->view());
  if (headers.number(header_contactversion) != subject.version) {
    throw Headers::wrong(header_contactversion);
  }
}

domain::RecordedEvent decode(const Headers& headers, const KafkaRecordView& record) {
  headers.refuse_repeated();
  headers.require(header_specversion, spec_version);
  headers.require(header_content_type, content_type);
  domain::RecordedEvent event;
  event.id = headers.parsed(header_id, domain::EventId::parse);
  event.time = headers.parsed(header_time, domain::parse_iso8601);
  if (headers.find(header_organization)) {
    event.organization = headers.parsed(header_organization, domain::OrganizationId::parse);
  }
  if (record.key != event.organization.str()) throw Unreadable("its key isn't its organization");
  event.actor = headers.find(header_actor).value_or(std::string_view{});
  event.request_id = headers.find(header_requestid).value_or(std::string_view{});
  event.idempotency = read_idempotency(headers);
  event.stamp = {headers.number(header_claim), headers.number(header_claimsequence)};
  event.event = read_event(headers, record.value);
  if (headers.find(header_chainhash)) {
    event.chain_hash = headers.parsed(header_chainhash, domain::digest_from_hex);
  }
  require_agreement(headers, event.event);
  return event;
}

}  // namespace

KafkaRecord encode_cloud_event(const domain::RecordedEvent& event) {
  KafkaRecord record{event.organization.str(), {}, domain::encode_data(event.event)};
  record.headers.reserve(header_names.size());
  const auto add = [&](Header header, std::string_view value) {
    record.headers.emplace_back(header_names[header], value);
  };
  const auto add_unless_empty = [&](Header header, std::string_view value) {
    if (!value.empty()) add(header, value);
  };
  const std::string_view type = domain::type_of(event.event);
  add(header_content_type, content_type);
  add(header_specversion, spec_version);
  add(header_id, event.id.str());
  add(header_source, cloud_event_source);
  add(header_type, type);
  add(header_time, domain::to_iso8601(event.time));
  add(header_dataschema, std::string{cloud_event_schema_prefix}.append(type));
  if (const auto subject = domain::subject_of(event.event); subject.contact != nullptr) {
    add(header_subject, subject.contact->view());
    add(header_contactversion, std::to_string(subject.version));
  }
  add_unless_empty(header_organization, event.organization.str());
  add_unless_empty(header_actor, event.actor);
  add_unless_empty(header_requestid, event.request_id);
  add(header_claim, std::to_string(event.stamp.claim));
  add(header_claimsequence, std::to_string(event.stamp.sequence));
  if (event.idempotency) {
    add(header_idempotencykey, domain::to_hex(event.idempotency->key));
    add(header_idempotencyrequest, domain::to_hex(event.idempotency->request));
  }
  if (event.chain_hash) add(header_chainhash, domain::to_hex(*event.chain_hash));
  return record;
}

std::string canonical_bytes(const domain::RecordedEvent& event, const KafkaRecordView& record) {
  const auto type =
      std::find_if(record.headers.begin(), record.headers.end(),
                   [](const auto& header) { return header.first == header_names[header_type]; });
  return projections::canonical_bytes(event, type->second, record.value);
}

std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> decode_cloud_event(
    const KafkaRecordView& record) {
  const Headers headers{record.headers};
  if (!headers.ours()) {
    return ForeignRecord{headers.find(header_type) ? "its ce_type isn't one of contactd's"
                                                   : "it has no header ce_type"};
  }
  try {
    return decode(headers, record);
  } catch (const Unreadable& problem) {
    return UnreadableRecord{problem.what()};
  }
}

}  // namespace contactd::infra
