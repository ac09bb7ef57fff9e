#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/events.hpp"
#include "infra/event_log.hpp"
#include "infra/read_store.hpp"
#include "infra/writer.hpp"

namespace contactd::test {

// What a log must come to, worked out in the plainest way that there is: maps, event by event. It
// shares no code with the fold. Each thing that isn't as it must be is a sentence in `wrong`.
class NaiveModel {
 public:
  struct Contact {
    std::uint64_t version = 0;
    std::map<domain::Field, std::string> values;  // JSON; of the fields that are set
  };
  using ContactKey = std::pair<std::string, std::string>;  // organization, id

  // The next record of the log.
  void add(const infra::LogEntry& entry);
  // All that `log` has in partition 0.
  void add_all(infra::EventLog& log);

  // Compares with what readers are shown.
  void compare_with(const infra::ReadStore& store);

  // A command was answered: `outcome` must be what the log says of the request. Each request must
  // have an Idempotency-Key of its own, so that all but the undecided leave an event.
  void expect_told(const std::string& request_id, const infra::Outcome& outcome);

  void complain(std::string what) { wrong_.push_back(std::move(what)); }
  const std::vector<std::string>& wrong() const { return wrong_; }
  // How many requests were answered and aren't in the log.
  std::size_t lost() const { return lost_; }
  std::size_t events() const { return applied_.size(); }
  std::size_t passed_over() const { return passed_over_; }

 private:
  struct Applied {
    domain::Event event;
    std::uint64_t version = 0;  // of the contact after it
  };
  void apply(const domain::RecordedEvent& event);
  void change(const domain::RecordedEvent& event, const domain::ContactId& contact,
              std::uint64_t version, const std::vector<domain::FieldChange>& changes);
  void remove(const domain::RecordedEvent& event, const domain::ContactDeleted& fact);
  std::optional<std::string> difference(const Applied& applied, const infra::Outcome& outcome);

  std::map<ContactKey, Contact> contacts_;
  std::map<std::pair<std::string, std::string>, std::string> emails_;  // organization, email
  std::map<std::string, Applied> applied_;                             // by request
  std::optional<std::uint64_t> claim_;
  std::uint64_t next_sequence_ = 1;
  std::int64_t last_time_ms_ = 0;
  std::uint64_t next_offset_ = 0;
  std::size_t passed_over_ = 0;
  std::size_t lost_ = 0;
  std::vector<std::string> wrong_;
};

}  // namespace contactd::test
