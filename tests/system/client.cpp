#include "tests/system/client.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <iterator>
#include <variant>

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds answers_wait_max{120};
constexpr std::size_t contacts_max = 40;  // of one client
constexpr std::size_t contacts_min = 5;

// A request on a connection of its own kind of end: unlike HttpClient, it tells a close before an
// answer from one within.
std::variant<Response, Client::End> exchange(std::optional<RawConnection>& connection,
                                             std::uint16_t port, const std::string& request) {
  try {
    if (!connection) connection.emplace(port);
  } catch (const std::system_error&) {
    return Client::End::refused;
  }
  try {
    // A send that fails isn't the end: there may be an answer all the same.
    connection->send(request);
    ResponseReader reader{*connection};
    if (reader.at_end()) return Client::End::closed;
    Response response = reader.read();
    if (!response.keeps_connection) connection.reset();
    return response;
  } catch (const std::runtime_error&) {
    return Client::End::broken;
  }
}

}  // namespace

void Progress::count_answer() {
  const std::lock_guard lock{mutex_};
  ++answers_;
  reached_.notify_all();
}

bool Progress::wait_for_answers(std::uint64_t number) {
  std::unique_lock lock{mutex_};
  return reached_.wait_for(lock, answers_wait_max, [&] { return answers_ >= number; });
}

void Progress::stop() {
  const std::lock_guard lock{mutex_};
  stopped_ = true;
}

bool Progress::stopped() const {
  const std::lock_guard lock{mutex_};
  return stopped_;
}

std::string contested_email(int number) {
  return "wanted-" + std::to_string(number) + "@example.com";
}

Client::Client(int number, std::uint64_t seed)
    : name_("c" + std::to_string(number)), random_(seed + static_cast<std::uint64_t>(number)) {}

bool Client::chance(int percent) {
  return std::uniform_int_distribution{1, 100}(random_) <= percent;
}

std::string Client::fresh(const std::string& prefix) {
  return prefix + '-' + name_ + '-' + std::to_string(++serial_);
}

Change Client::create() {
  Change change;
  change.kind = Change::Kind::create;
  change.sets["first_name"] = fresh("made");
  // An address of its own, by which it can be found if nobody answers.
  change.sets["email"] = fresh("own") + "@example.com";
  if (chance(50)) change.sets["tags"] = json::array{"crash", fresh("tag")};
  return change;
}

Change Client::update(const std::string& contact) {
  Change change;
  change.contact = contact;
  if (chance(10)) {
    change.kind = Change::Kind::repeat;
    change.sets["tags"] = json::parse(ledger_.held().at(contact).json).at("tags");
    return change;
  }
  change.sets["job_title"] = fresh("title");  // never twice the same: it always is a change
  if (chance(20)) {
    const int number = std::uniform_int_distribution{0, contested_emails - 1}(random_);
    change.sets["email"] = chance(50) ? contested_email(number) : fresh("own") + "@example.com";
  }
  if (chance(20)) change.sets["tags"] = json::array{fresh("tag"), "crash"};
  if (chance(20)) change.sets["status"] = chance(50) ? "active" : "inactive";
  if (chance(20)) change.sets["company"] = nullptr;
  if (chance(30)) {
    change.if_match = '"' + std::to_string(ledger_.held().at(contact).version) + '"';
  }
  return change;
}

Change Client::next_change() {
  const auto& held = ledger_.held();
  const bool few = held.size() < contacts_min;
  Change change;
  if (few || (held.size() < contacts_max && chance(15))) {
    change = create();
  } else {
    const std::size_t which =
        std::uniform_int_distribution<std::size_t>{0, held.size() - 1}(random_);
    const std::string& contact = std::next(held.begin(), static_cast<std::ptrdiff_t>(which))->first;
    if (chance(10)) {
      change.kind = Change::Kind::remove;
      change.contact = contact;
    } else {
      change = update(contact);
    }
  }
  change.request_id = fresh("request");
  if (chance(50)) change.idempotency_key = fresh("key");
  return change;
}

void Client::run(std::uint16_t port, const std::string& api_key, Progress& progress) {
  std::optional<RawConnection> connection;
  while (!progress.stopped() && complaints_.empty()) {
    Change change = next_change();
    Headers headers = change.headers();
    headers.emplace_back("X-API-KEY", api_key);
    const auto result = exchange(
        connection, port, request_text(change.method(), change.target(), headers, change.body()));
    const auto* response = std::get_if<Response>(&result);
    if (response == nullptr) {
      unanswered_ = {std::move(change), std::get<End>(result)};
      return;
    }
    progress.count_answer();
    if (response->status == 503) {
      unanswered_ = {std::move(change), End::unknown};
      return;
    }
    note_answer(change, *response);
  }
}

void Client::note_answer(const Change& change, const Response& response) {
  if (auto problem = ledger_.learn(change, response)) complaints_.push_back(*std::move(problem));
  if (change.idempotency_key) last_keyed_ = Keyed{change, response.status, response.body};
}

void Client::settle(PatientClient& servers) {
  if (last_keyed_) repeat_keyed(servers, *last_keyed_);
  if (!unanswered_) return;
  if (unanswered_->change.idempotency_key) {
    settle_by_retry(servers);
  } else {
    settle_by_look(servers);
  }
  unanswered_.reset();
}

void Client::settle_by_retry(PatientClient& servers) {
  const Change change = unanswered_->change;
  const Response response =
      servers.request(change.method(), change.target(), change.headers(), change.body());
  note_answer(change, response);
  repeat_keyed(servers, *last_keyed_);
}

void Client::settle_by_look(PatientClient& servers) {
  Change change = unanswered_->change;
  if (change.kind == Change::Kind::create) {
    const std::string email{change.sets.at("email").as_string()};
    const auto list = servers.get("/api/v1/contacts?email=" + email).json();
    const auto& found = list.at("data").as_array();
    if (found.empty()) return;
    change.contact = found[0].at("id").as_string();
  }
  const Response response = servers.get("/api/v1/contacts/" + change.contact);
  if (auto problem = ledger_.settle(change, held_in(response))) {
    complaints_.push_back(*std::move(problem));
  }
}

void Client::repeat_keyed(PatientClient& servers, const Keyed& keyed) {
  const Change& change = keyed.change;
  const Response again =
      servers.request(change.method(), change.target(), change.headers(), change.body());
  if (again.status == keyed.status && again.body == keyed.body &&
      again.header("Idempotent-Replay") == "true") {
    return;
  }
  complaints_.push_back(change.request_id + " was answered " + std::to_string(keyed.status) + ' ' +
                        keyed.body + "; its repeat " + std::to_string(again.status) + ' ' +
                        again.body + (again.header("Idempotent-Replay") ? "" : ", no replay"));
}

}  // namespace contactd::test
