#include "projections/idempotency.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "domain/event_codec.hpp"
#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t record_format = 1;
enum class Kind : std::uint8_t { created = 1, updated = 2, deleted = 3, rejected = 4 };

struct Encoder {
  std::string& out;

  void kind(Kind kind) const { append_number(out, static_cast<std::uint8_t>(kind)); }
  void operator()(const ContactAnswer& answer) const {
    kind(answer.created ? Kind::created : Kind::updated);
    append_number(out, answer.version);
    append_bytes(out, answer.json);
  }
  void operator()(const DeletedAnswer& answer) const {
    kind(Kind::deleted);
    append_bytes(out, answer.contact.view());
  }
  void operator()(const domain::Rejection& rejection) const {
    kind(Kind::rejected);
    std::string json;
    domain::append_rejection(json, rejection);
    append_bytes(out, json);
  }
};

domain::Rejection rejection_from(std::string_view text) {
  boost::json::error_code ec;
  const auto json = boost::json::parse({text.data(), text.size()}, ec);
  auto rejection = ec ? std::nullopt : domain::read_rejection(json);
  if (!rejection) throw CorruptRecord("an idempotency record holds no rejection");
  return *std::move(rejection);
}

}  // namespace

std::string encode(const IdempotencyRecord& record) {
  std::string out;
  append_number(out, record_format);
  out.append(record.request.begin(), record.request.end());
  append_number(out, record.time.unix_ms);
  std::visit(Encoder{out}, record.answer);
  return out;
}

IdempotencyRecord read_idempotency(std::string_view text) {
  BinaryReader reader{text};
  if (reader.number<std::uint8_t>() != record_format) {
    throw CorruptRecord("an unknown idempotency record");
  }
  IdempotencyRecord record;
  const std::string_view digest = reader.take(record.request.size());
  std::copy(digest.begin(), digest.end(), record.request.begin());
  record.time.unix_ms = reader.number<std::int64_t>();
  const auto kind = static_cast<Kind>(reader.number<std::uint8_t>());
  switch (kind) {
    case Kind::created:
    case Kind::updated: {
      const auto version = reader.number<domain::Version>();
      record.answer = ContactAnswer{kind == Kind::created, version, std::string{reader.bytes()}};
      return record;
    }
    case Kind::deleted: {
      const auto id = domain::ContactId::parse(reader.bytes());
      if (!id) throw CorruptRecord("an idempotency record names no contact");
      record.answer = DeletedAnswer{*id};
      return record;
    }
    case Kind::rejected:
      record.answer = rejection_from(reader.bytes());
      return record;
  }
  throw CorruptRecord("an idempotency record of an unknown kind");
}

}  // namespace contactd::projections
