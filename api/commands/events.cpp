#include <algorithm>
#include <cstdio>
#include <memory>
#include <variant>

#include "api/commands/command_line.hpp"
#include "api/commands/interruption.hpp"
#include "api/commands/log_position.hpp"
#include "api/commands/open_log.hpp"
#include "api/commands/options.hpp"
#include "api/commands/printable.hpp"
#include "domain/event_codec.hpp"
#include "domain/json_text.hpp"
#include "infra/applied_events.hpp"
#include "infra/cloud_event.hpp"
#include "infra/errors.hpp"
#include "infra/log_patience.hpp"

// `contactd events`: what the log says, straight from it.
namespace contactd::api {
namespace {

using infra::AppliedEvent;
using infra::AppliedEvents;

struct EventsConfig {
  LogOptions log;
  bool follow = false;
  bool json = false;
  std::vector<std::string> types;
  std::string organization;
  std::string contact;
  std::string from;
  std::string until;
};

// contactd.contact.updated.v1: contact.updated
std::string short_name(std::string_view type) {
  constexpr std::string_view prefix = "contactd.";
  return std::string{type.substr(prefix.size(), type.rfind(".v") - prefix.size())};
}

std::string check_type(const std::string& text) {
  std::string known;
  for (const std::string_view type : domain::stored_types()) {
    if (text == type || text == short_name(type)) return {};
    const std::string name = short_name(type);
    if (known.ends_with(name)) continue;
    known += (known.empty() ? "" : ", ") + name;
  }
  return "'" + text + "' is no type of event; there are " + known;
}

bool wanted(const EventsConfig& config, const AppliedEvent& event) {
  if (!config.organization.empty() && event.event.organization.str() != config.organization) {
    return false;
  }
  if (!config.contact.empty()) {
    const domain::ContactId* contact = domain::subject_of(event.event.event).contact;
    if (contact == nullptr || contact->view() != config.contact) return false;
  }
  if (config.types.empty()) return true;
  const std::string_view type = domain::type_of(event.event.event);
  return std::any_of(config.types.begin(), config.types.end(), [&](const std::string& one) {
    return one == type || one == short_name(type);
  });
}

// 0:17  2025-07-15T10:30:00.000Z  contact.updated  acme  Q8mB... v2  by key1  {"changes":...}
std::string line_of(const AppliedEvent& applied) {
  const domain::RecordedEvent& event = applied.event;
  std::string line = to_string(applied.partition, applied.offset) + "  ";
  domain::append_iso8601(line, event.time);
  line += "  " + short_name(domain::type_of(event.event));
  if (!event.organization.str().empty()) line += "  " + event.organization.str();
  if (const auto subject = domain::subject_of(event.event); subject.contact != nullptr) {
    line += "  " + subject.contact->str() + " v" + std::to_string(subject.version);
  }
  line += "  by " + event.actor + "  " + domain::encode_data(event.event);
  return line;
}

// As CloudEvents' JSON format has it, with the attributes of the Kafka record, and the position.
std::string json_of(const AppliedEvent& applied) {
  const infra::KafkaRecord record = infra::encode_cloud_event(applied.event);
  std::string json =
      R"({"position":)" + domain::json_string(to_string(applied.partition, applied.offset));
  for (const auto& [name, value] : record.headers) {
    if (name == "content-type") continue;
    const std::string attribute = name.substr(name.find('_') + 1);
    const bool number = attribute == "contactversion" || attribute.starts_with("claim");
    json += ',' + domain::json_string(attribute) + ':';
    json += number ? value : domain::json_string(value);
  }
  return json + R"(,"datacontenttype":"application/json","data":)" + record.value + '}';
}

void print(const EventsConfig& config, const AppliedEvent& event) {
  std::string line = config.json ? json_of(event) : printable(line_of(event));
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) {
    throw infra::Unavailable("can't write to standard output");
  }
}

// The partitions that are to be read, each from where to.
class Reading {
 public:
  Reading(const EventsConfig& config, infra::LogReader& log) : config_(config), log_(log) {
    const std::uint32_t count = log.partition_count();
    const auto from = config.from.empty() ? std::nullopt : parse_log_place(config.from);
    until_ = config.until.empty() ? std::nullopt : parse_log_place(config.until);
    for (const auto& place : {from, until_}) {
      if (place) require_place_of(*place, count);
    }
    from_ = from;
    const auto organization = domain::OrganizationId::parse(config.organization);
    for (std::uint32_t id = 0; id < count; ++id) {
      if (organization && domain::partition_of(*organization, count) != id) continue;
      if ((from_ && names_another(*from_, id)) || (until_ && names_another(*until_, id))) continue;
      const auto* position = from_ ? std::get_if<LogPosition>(&*from_) : nullptr;
      partitions_.push_back(
          {std::make_unique<AppliedEvents>(log, id, position == nullptr ? 0 : position->offset),
           log.end_offset(id), false});
    }
  }

  // Prints the events of all partitions by time, as far as they are known. Throws Interrupted
  // between two of them.
  void run() {
    for (;;) {
      end_if_interrupted();
      if (Partition* first = earliest()) {
        const AppliedEvent event = first->events->take();
        if (is_past(event)) {
          first->done = true;
        } else if (!is_before(event) && wanted(config_, event)) {
          print(config_, event);
        }
      } else if (finished()) {
        return;
      } else {
        std::fflush(stdout);
        wait();
      }
    }
  }

 private:
  struct Partition {
    std::unique_ptr<AppliedEvents> events;
    std::uint64_t end = 0;  // where it ended when the reading began
    bool done = false;      // its events are past what was asked for
    infra::LogPatience patience{};
  };

  // Null if nothing is there to be printed yet: then no partition lacks what it will be asked for.
  Partition* earliest() {
    Partition* first = nullptr;
    domain::Instant time;
    for (Partition& one : partitions_) {
      const AppliedEvent* event = one.done ? nullptr : one.events->next();
      if (event == nullptr) {
        if (behind(one)) return nullptr;
        continue;
      }
      if (first != nullptr && event->event.time >= time) continue;
      first = &one;
      time = event->event.time;
    }
    return first;
  }
  static bool behind(const Partition& one) {
    return !one.done && one.events->next_offset() < one.end;
  }
  bool finished() {
    return std::all_of(partitions_.begin(), partitions_.end(), [this](Partition& one) {
      if (one.done || config_.follow) return one.done;
      // What follows the last record may be Kafka's own.
      return one.events->next_offset() >=
             std::min(one.end, log_.end_offset(one.events->partition()));
    });
  }

  void wait() {
    for (Partition& one : partitions_) {
      // One with an event at hand waits for the others.
      if (one.done || one.events->next() != nullptr) continue;
      const std::uint64_t from = one.events->next_offset();
      const std::uint32_t id = one.events->partition();
      const bool shows = behind(one) ? one.patience.wait(log_, id, from)
                                     : log_.wait(id, from, infra::LogPatience::look_interval);
      if (shows) return;
      one.end = std::min(one.end, std::max(from, log_.end_offset(id)));
    }
  }

  bool is_before(const AppliedEvent& event) const {
    return from_ && !at_or_after(*from_, event.partition, event.offset, event.event.time);
  }
  bool is_past(const AppliedEvent& event) const {
    return until_ && after(*until_, event.partition, event.offset, event.event.time);
  }

  const EventsConfig& config_;
  infra::LogReader& log_;
  std::optional<LogPlace> from_;
  std::optional<LogPlace> until_;
  std::vector<Partition> partitions_;
};

int print_events(const EventsConfig& config) {
  const OpenedLog log = open_log_for_reading(config.log);
  note_interruptions();
  Reading{config, *log}.run();
  if (std::fflush(stdout) != 0) throw infra::Unavailable("can't write to standard output");
  return exit_done;
}

}  // namespace

void add_events(CommandLine& line) {
  const auto config = std::make_shared<EventsConfig>();
  CLI::App* app = line.app.add_subcommand(
      "events", "Print the log's events, oldest first; also beside a running server");
  add_log(*app, config->log);
  app->add_flag("--follow", config->follow, "Go on with what is written from now on");
  app->add_option("--type", config->types, "Only of this type, such as contact.updated; repeatable")
      ->check(CLI::Validator(check_type, "TYPE"));
  app->add_option("--organization", config->organization, "Only this organization's")
      ->check(CLI::Validator(check_organization, "ID"));
  app->add_option("--contact", config->contact, "Only of the contact with this id")
      ->check(CLI::Validator(check_contact_id, "ID"));
  const CLI::Validator place{check_log_place, "POSITION|TIME"};
  app->add_option("--from", config->from, "Begin with this offset, PARTITION:OFFSET or time")
      ->check(place);
  app->add_option("--until", config->until, "End with this one")->check(place);
  add_json(*app, config->json, "Print each as a line of JSON: a CloudEvent, and its position");
  app->callback([&line, config] {
    config->log.finish();
    line.chosen = [config] { return print_events(*config); };
  });
}

}  // namespace contactd::api
