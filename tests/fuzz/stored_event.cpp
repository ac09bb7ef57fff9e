#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include "domain/event_codec.hpp"
#include "infra/cloud_event.hpp"
#include "infra/record_codec.hpp"
#include "tests/fuzz/targets.hpp"

// The first byte says what the rest is: `d` a type, a line break and data; `r` a record of the
// embedded log; `k` one of Kafka: the key, headers as name=value, an empty line, the value.
namespace contactd::fuzz {
namespace {

namespace json = boost::json;
using domain::Event;
using domain::RecordedEvent;

void read_data(std::string_view input) {
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos) return;
  const std::string_view type = input.substr(0, end);
  const auto read = domain::decode_data(type, input.substr(end + 1));
  const auto* event = std::get_if<Event>(&read);
  if (event == nullptr) return;
  require(domain::type_of(*event) == type, "an event keeps the type that it was stored as");
  const std::string data = domain::encode_data(*event);
  const auto again = domain::decode_data(type, data);
  const auto* same = std::get_if<Event>(&again);
  require(same != nullptr && *same == *event, "an event that was read can be stored again");
  require(domain::encode_data(*same) == data, "equal events give equal bytes");
}

void read_record(std::string_view input) {
  const auto read = infra::decode_record(input);
  const auto* event = std::get_if<RecordedEvent>(&read);
  if (event == nullptr) return;
  const auto again = infra::decode_record(infra::encode_record(*event));
  const auto* same = std::get_if<RecordedEvent>(&again);
  require(same != nullptr && *same == *event, "a record that was read can be written again");
}

void read_kafka_record(std::string_view input) {
  std::vector<infra::KafkaHeaderView> headers;
  const auto line = [&] {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view taken = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    return taken;
  };
  const std::string_view key = line();
  for (std::string_view header = line(); !header.empty(); header = line()) {
    const std::size_t equals = std::min(header.find('='), header.size());
    headers.emplace_back(header.substr(0, equals),
                         header.substr(std::min(equals + 1, header.size())));
  }
  const auto read = infra::decode_cloud_event({key, headers, input});
  const auto* event = std::get_if<RecordedEvent>(&read);
  if (event == nullptr) return;
  const infra::KafkaRecord record = infra::encode_cloud_event(*event);
  const std::vector<infra::KafkaHeaderView> own{record.headers.begin(), record.headers.end()};
  const auto again = infra::decode_cloud_event({record.key, own, record.value});
  const auto* same = std::get_if<RecordedEvent>(&again);
  require(same != nullptr && *same == *event, "a Kafka record that was read can be written again");
}

RecordedEvent recorded(Event event) {
  RecordedEvent whole;
  whole.time = {1'752'575'400'000};
  whole.actor = "key1";
  whole.request_id = "request-1";
  whole.stamp = {2, 7};
  if (std::holds_alternative<domain::WriterClaimed>(event)) {
    whole.stamp = {0, 0};
    whole.actor = "contactd";
    whole.request_id.clear();
  } else {
    whole.organization = *domain::OrganizationId::parse("acme");
    whole.idempotency = domain::IdempotencyStamp{};
  }
  whole.event = std::move(event);
  return whole;
}

}  // namespace

void stored_event(std::string_view input) {
  if (input.empty()) return;
  const char kind = input.front();
  input.remove_prefix(1);
  if (kind == 'd') read_data(input);
  if (kind == 'r') read_record(input);
  if (kind == 'k') read_kafka_record(input);
}

std::vector<std::string> stored_event_seeds() {
  std::vector<std::string> all;
  for (const std::string& file : files_below(CONTACTD_GOLDEN "/events")) {
    const json::value golden = json::parse(file);
    const auto type = json::value_to<std::string>(golden.at("type"));
    const auto data = json::value_to<std::string>(golden.at("data"));
    all.push_back("d" + type + "\n" + data);
    const auto read = domain::decode_data(type, data);
    const auto* event = std::get_if<Event>(&read);
    if (event == nullptr) continue;
    RecordedEvent whole = recorded(*event);
    all.push_back("r" + infra::encode_record(whole));
    whole.chain_hash.emplace();
    all.push_back("r" + infra::encode_record(whole));
    const infra::KafkaRecord record = infra::encode_cloud_event(whole);
    std::string text = "k" + record.key + "\n";
    for (const auto& [name, value] : record.headers) text += name + "=" + value + "\n";
    all.push_back(text + "\n" + record.value);
  }
  return all;
}

}  // namespace contactd::fuzz
