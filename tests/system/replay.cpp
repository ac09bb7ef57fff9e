#include "tests/system/replay.hpp"

#include <map>
#include <memory>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include "infra/embedded_event_log.hpp"
#include "infra/kafka_event_log.hpp"
#include "infra/metrics.hpp"
#include "infra/projector.hpp"
#include "infra/read_store.hpp"
#include "projections/contact_view.hpp"
#include "projections/key_layout.hpp"
#include "tests/support/fold_rest.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

using projections::Table;

constexpr std::size_t bytes_shown_max = 200;

using Rows = std::vector<std::tuple<Table, std::string, std::string>>;

Rows rows_of(const infra::ReadStore& store) {
  Rows rows;
  store.visit_all([&](Table table, std::string_view key, std::string_view value) {
    rows.emplace_back(table, key, value);
  });
  return rows;
}

std::string shown(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes.substr(0, bytes_shown_max)) {
    const auto code = static_cast<unsigned char>(byte);
    constexpr std::string_view hex = "0123456789abcdef";
    if (code >= 0x20 && code < 0x7F) {
      text += byte;
    } else {
      text += {'\\', 'x', hex[code >> 4U], hex[code & 0x0FU]};
    }
  }
  return bytes.size() > bytes_shown_max ? text + "..." : text;
}

std::string shown(const Rows& rows, std::size_t index) {
  if (index >= rows.size()) return "no more rows";
  const auto& [table, key, value] = rows[index];
  return std::string{projections::name_of(table)} + " '" + shown(key) + "' = '" + shown(value) +
         '\'';
}

std::optional<std::string> first_difference(const Rows& live, const Rows& replayed) {
  for (std::size_t i = 0; i < live.size() || i < replayed.size(); ++i) {
    if (i < live.size() && i < replayed.size() && live[i] == replayed[i]) continue;
    return "live has " + shown(live, i) + ", the replay has " + shown(replayed, i);
  }
  return std::nullopt;
}

std::optional<LoggedChange> change_of(const domain::RecordedEvent& recorded) {
  LoggedChange change{recorded.request_id, {}, 0};
  const domain::Event& event = recorded.event;
  if (const auto* created = std::get_if<domain::ContactCreated>(&event)) {
    change.contact = created->contact.str();
    change.version = 1;
  } else if (const auto* updated = std::get_if<domain::ContactUpdated>(&event)) {
    change.contact = updated->contact.str();
    change.version = updated->version;
  } else if (const auto* deleted = std::get_if<domain::ContactDeleted>(&event)) {
    change.contact = deleted->contact.str();
    change.version = deleted->version;
  } else if (!std::holds_alternative<domain::RequestAnswered>(event)) {
    return std::nullopt;
  }
  return change;
}

// Folds all that a partition has, and notes the changes. Returns what must not be in a log that one
// process wrote, unless there were several.
std::optional<std::string> fold_partition(std::uint32_t partition, infra::EventLog& log,
                                          infra::ReadStore& store, bool several, Replay& replayed) {
  infra::Metrics metrics;
  infra::Projector projector{partition, log, store, metrics};
  std::optional<std::string> problem;
  fold_until(
      projector, log, partition,
      // Asked anew: on Kafka, that the rest is none of ours is known when it has been read.
      [&] { return projector.position() >= log.end_offset(partition); },
      [&](const domain::RecordedEvent& event, const projections::FoldBatch::Result& result) {
        if (result.admission == projections::Admission::current) {
          if (const auto change = change_of(event)) replayed.changes.push_back(*change);
          return;
        }
        ++replayed.not_applied;
        if (several) return;
        problem = "the log has an event that isn't applied: claim " +
                  std::to_string(event.stamp.claim) + ", sequence " +
                  std::to_string(event.stamp.sequence);
      });
  return problem;
}

std::optional<std::string> fold_all(infra::EventLog& log, infra::ReadStore& store, bool several,
                                    Replay& replayed) {
  std::optional<std::string> problem;
  for (std::uint32_t partition = 0; partition < log.partition_count(); ++partition) {
    auto found = fold_partition(partition, log, store, several, replayed);
    if (!problem) problem = std::move(found);
  }
  return problem;
}

// Every contact's email, and nothing else, must be in the index.
std::optional<std::string> email_disagreement(const Rows& rows) {
  std::map<std::string, std::string> of_contacts;
  std::map<std::string, std::string> of_index;
  for (const auto& [table, key, value] : rows) {
    if (table == Table::emails) of_index.emplace(key, value);
    if (table != Table::contacts) continue;
    const auto organization = domain::OrganizationId::parse(key.substr(0, key.find('\0')));
    const auto view = projections::read_contact(value);
    const auto& email = view.contact[domain::Field::email];
    if (email.is_null()) continue;
    const std::string indexed = projections::keys::email(organization.value(), email.unquoted());
    if (!of_contacts.emplace(indexed, view.contact.id.str()).second) {
      return "two contacts have the email of '" + shown(indexed) + '\'';
    }
  }
  if (of_contacts == of_index) return std::nullopt;
  return "the email index has " + std::to_string(of_index.size()) + " entries, which aren't the " +
         std::to_string(of_contacts.size()) + " emails of the contacts";
}

}  // namespace

Replay replay(const std::filesystem::path& data_dir, Ended ended,
              const std::optional<infra::KafkaConfig>& kafka) {
  const TemporaryDirectory scratch;
  const auto copy = scratch.path() / "copy";
  std::filesystem::copy(data_dir, copy, std::filesystem::copy_options::recursive);

  Replay result;
  infra::Metrics metrics;
  std::unique_ptr<infra::EventLog> log;
  if (kafka) {
    log = infra::open_kafka_event_log(*kafka, metrics);
  } else {
    log = infra::open_embedded_event_log(copy / "log");
  }
  const auto live = infra::open_read_store(copy / "projections");
  const auto replayed = infra::open_read_store(scratch.path() / "replayed");
  result.difference = fold_all(*log, *replayed, kafka.has_value(), result);
  if (!result.difference && ended == Ended::by_kill) {
    Replay rest;
    result.difference = fold_all(*log, *live, kafka.has_value(), rest);
  }
  if (result.difference) return result;
  const Rows rows = rows_of(*replayed);
  result.difference = first_difference(rows_of(*live), rows);
  if (!result.difference) result.difference = email_disagreement(rows);
  return result;
}

}  // namespace contactd::test
