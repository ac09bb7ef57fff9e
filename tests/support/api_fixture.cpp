#include "tests/support/api_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/support/canaries.hpp"

namespace contactd::test {
namespace {

namespace json = boost::json;

// Answers that no test brings about, and why.
struct NeverSeen {
  std::string_view status;
  std::string_view why;
};
constexpr NeverSeen never_seen[] = {
    {"500", "nothing is known that brings it about"},
    {"503", "mostly needs a log or a disk that is away; the tests of infra have those"},
};

std::unique_ptr<ServerProcess>& shared_server_slot() {
  static std::unique_ptr<ServerProcess> server;
  return server;
}

std::unique_ptr<OpenApiDocument>& openapi_slot() {
  static std::unique_ptr<OpenApiDocument> document;
  return document;
}

bool has_header(const Headers& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& entry) { return same_header_name(entry.first, name); });
}

// In lowercase and without parameters.
std::string media_type_of(const Headers& headers) {
  std::string type = "application/json";
  for (const auto& [name, value] : headers) {
    if (same_header_name(name, "Content-Type")) type = value.substr(0, value.find(';'));
  }
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type;
}

}  // namespace

void Answer::expect(bool met, const std::string& expected, Where where) const {
  if (met) return;
  ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
      << exchange_.method << ' ' << exchange_.target << ' ' << exchange_.request_body.substr(0, 500)
      << "\n  expected: " << expected << "\n  answered: " << status() << ' '
      << body().substr(0, 2000);
}

json::value Answer::member_at(std::string_view pointer) const {
  boost::system::error_code ec;
  const json::value whole = json::parse(body(), ec);
  if (ec) return "no JSON";
  const json::value* const found = whole.find_pointer(pointer, ec);
  return found == nullptr ? json::value("no such member") : *found;
}

const Answer& Answer::then(unsigned expected, Where where) const {
  expect(status() == expected, "status " + std::to_string(expected), where);
  return *this;
}

const Answer& Answer::with_field(std::string_view name, const json::value& expected,
                                 Where where) const {
  expect(member_at("/data/" + std::string{name}) == expected,
         "data." + std::string{name} + " is " + json::serialize(expected), where);
  return *this;
}

const Answer& Answer::with_member(std::string_view name, const json::value& expected,
                                  Where where) const {
  expect(member_at("/" + std::string{name}) == expected,
         std::string{name} + " is " + json::serialize(expected), where);
  return *this;
}

const Answer& Answer::with_error(std::string_view sentence, Where where) const {
  return with_member("error", json::string{sentence}, where);
}

const Answer& Answer::with_error_naming(std::string_view part, Where where) const {
  const json::value error = member_at("/error");
  const bool named = error.is_string() && error.get_string().find(part) != json::string::npos;
  expect(named, "error names " + std::string{part}, where);
  return *this;
}

const Answer& Answer::with_form_error(std::string_view sentence, Where where) const {
  const json::value errors = member_at("/details/formErrors");
  const auto* list = errors.if_array();
  const bool met = list != nullptr && std::find(list->begin(), list->end(),
                                                json::value(json::string{sentence})) != list->end();
  expect(met, "details.formErrors has " + std::string{sentence}, where);
  return *this;
}

const Answer& Answer::with_field_error(std::string_view field, std::string_view sentence,
                                       Where where) const {
  const json::value errors = member_at("/details/fieldErrors/" + std::string{field});
  expect(errors == json::value(json::array{json::string{sentence}}),
         "details.fieldErrors." + std::string{field} + " is [" + std::string{sentence} + "]",
         where);
  return *this;
}

const Answer& Answer::with_header(std::string_view name, std::string_view value,
                                  Where where) const {
  const auto found = response().header(name);
  expect(
      found == value,
      "header " + std::string{name} + ": " + std::string{value} + ", not " + found.value_or("none"),
      where);
  return *this;
}

const Answer& Answer::with_header(std::string_view name, Where where) const {
  expect(!response().header(name).value_or("").empty(), "a header " + std::string{name}, where);
  return *this;
}

const Answer& Answer::without_header(std::string_view name, Where where) const {
  expect(!response().header(name), "no header " + std::string{name}, where);
  return *this;
}

json::object Answer::data() const {
  const json::value data = member_at("/data");
  return data.is_object() ? data.get_object() : json::object{};
}

std::string Answer::field(std::string_view name) const {
  return json::serialize(member_at("/data/" + std::string{name}));
}

namespace {

// Keys, and what stands in contacts, are for no log.
void note_secrets(const Exchange& exchange, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (same_header_name(name, "X-API-KEY")) add_canary(value);
  }
  json::error_code ec;
  const json::value body = json::parse(exchange.request_body, ec);
  if (!ec && exchange.target.starts_with("/api/v1/contacts")) add_canaries_of(body);
}

// A webhook's secret is shown in the answer that makes it.
void note_shown_secret(const Response& response) {
  constexpr std::string_view prefix = "whsec_";
  const std::size_t at = response.body.find(prefix);
  if (at == std::string::npos) return;
  add_canary(std::string_view{response.body}.substr(at, response.body.find('"', at) - at));
}

// An error names members and says what is wrong, but doesn't repeat values, nor a key.
void expect_discreet(const Exchange& exchange) {
  json::error_code ec;
  const json::value body = json::parse(exchange.request_body, ec);
  if (ec || !body.is_object()) return;
  for (const auto& member : body.get_object()) {
    const auto* text = member.value().if_string();
    constexpr std::size_t length_min = 12;
    if (text == nullptr || text->size() < length_min) continue;
    EXPECT_EQ(exchange.response.body.find(std::string_view{text->data(), text->size()}),
              std::string::npos)
        << "an error repeats a value: " << exchange.response.body;
  }
}

}  // namespace

std::string contact_path(std::string_view id) { return "/api/v1/contacts/" + std::string{id}; }

Answer ApiUser::send(std::string_view method, std::string_view target, const Headers& headers,
                     const std::optional<std::string>& body) {
  Headers all = headers;
  if (!key_.empty() && !has_header(headers, "X-API-KEY")) all.emplace_back("X-API-KEY", key_);
  if (body && !has_header(headers, "Content-Type")) {
    all.emplace_back("Content-Type", "application/json");
  }
  Exchange exchange{std::string{method}, std::string{target}, {}, {}, {}};
  if (body) {
    exchange.request_media_type = media_type_of(all);
    exchange.request_body = *body;
  }
  note_secrets(exchange, all);
  exchange.response = client_.request(method, target, all, body);
  note_shown_secret(exchange.response);
  expect_documented(exchange);
  if (exchange.response.status >= 400) expect_discreet(exchange);
  return Answer{std::move(exchange)};
}

Answer ApiUser::create(const std::string& body, const Headers& headers) {
  return send("POST", "/api/v1/contacts", headers, body);
}

Answer ApiUser::read(std::string_view id, const Headers& headers) {
  return send("GET", contact_path(id), headers);
}

Answer ApiUser::patch(std::string_view id, const std::string& body, const Headers& headers) {
  return send("PATCH", contact_path(id), headers, body);
}

Answer ApiUser::remove(std::string_view id, const Headers& headers) {
  return send("DELETE", contact_path(id), headers);
}

Answer ApiUser::list(std::string_view query) {
  const std::string target = "/api/v1/contacts";
  return send("GET", query.empty() ? target : target + '?' + std::string{query});
}

Contact ApiUser::given_contact(const std::string& body) {
  const Answer created = create(body).then(201);
  json::object data = created.data();
  const json::value* const id = data.if_contains("id");
  if (id == nullptr) throw std::runtime_error{"no contact was created: " + created.body()};
  return {json::value_to<std::string>(*id), created.etag(), std::move(data)};
}

Contact ApiUser::given_patched(std::string_view id, const std::string& body) {
  const Answer patched = patch(id, body).then(200);
  return {std::string{id}, patched.etag(), patched.data()};
}

ServerProcess& shared_server() {
  auto& server = shared_server_slot();
  // The most talkative, so that the search for canaries in its log finds what there is to find.
  if (server == nullptr) {
    server = std::make_unique<ServerProcess>(ServerSettings{{"--log-level", "trace"}, {}});
  }
  return *server;
}

OpenApiDocument& openapi() {
  auto& document = openapi_slot();
  if (document == nullptr) {
    HttpClient client{shared_server().port()};
    document = std::make_unique<OpenApiDocument>(client.request("GET", "/openapi.json").json());
  }
  return *document;
}

void expect_documented(const Exchange& exchange) {
  for (const std::string& complaint : openapi().complaints_about(exchange)) {
    ADD_FAILURE() << "not as /openapi.json says: " << exchange.method << ' ' << exchange.target
                  << " -> " << exchange.response.status << ": " << complaint << "\n  "
                  << exchange.request_body.substr(0, 500) << "\n  "
                  << exchange.response.body.substr(0, 2000);
  }
}

std::string new_organization() {
  static std::atomic<int> count = 0;
  return "organization-" + std::to_string(++count);
}

ApiUser admin_of(const ServerProcess& server) { return ApiUser{server.port(), server.admin_key()}; }

ApiUser given_user(const ServerProcess& server, std::string_view scope,
                   std::optional<std::string> organization) {
  if (!organization) organization = new_organization();
  const json::object request = {{"organization", *organization},
                                {"name", "a test"},
                                {"scopes", json::object{{"contacts", scope}, {"webhooks", scope}}}};
  const Answer created =
      admin_of(server).send("POST", "/admin/v1/keys", {}, json::serialize(request)).then(201);
  const json::object data = created.data();
  const json::value* const key = data.if_contains("key");
  if (key == nullptr) throw std::runtime_error{"no key was created: " + created.body()};
  add_canaries_of(*key);
  return ApiUser{server.port(), json::value_to<std::string>(*key), *std::move(organization)};
}

Response send_raw(std::uint16_t port, std::string_view bytes) {
  RawConnection connection{port};
  connection.send(bytes);
  return ResponseReader{connection}.read(bytes.starts_with("HEAD "));
}

std::vector<Response> send_at_once(std::uint16_t port, const std::vector<Request>& requests) {
  std::vector<Response> responses(requests.size());
  std::barrier start{static_cast<std::ptrdiff_t>(requests.size())};
  const auto send_one = [&](std::size_t i) {
    HttpClient client{port};
    const Request& request = requests[i];
    std::string failure;
    try {
      client.request("GET", "/healthz");  // so that the connection is open
    } catch (const std::exception& problem) {
      failure = problem.what();
    }
    start.arrive_and_wait();
    try {
      responses[i] = client.request(request.method, request.target, request.headers, request.body);
    } catch (const std::exception& problem) {
      failure = problem.what();
    }
    EXPECT_EQ(failure, "") << request.method << ' ' << request.target;
  };
  std::vector<std::jthread> threads;
  threads.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) threads.emplace_back(send_one, i);
  threads.clear();
  return responses;
}

namespace {

// What the shared server tells everybody, at the end; its log is looked at when it ends.
void expect_quiet_shared_server() {
  if (shared_server_slot() == nullptr) return;
  HttpClient client{shared_server().port()};
  expect_no_canary(client.request("GET", "/metrics").body, "/metrics");
  expect_no_canary(client.request("GET", "/readyz").body, "/readyz");
  std::cout << "canaries: " << canary_count() << " looked for in logs and metrics\n";
}

// Where every test ran, an answer that the document promises and nobody saw is a failure.
void compare_promised_with_seen(bool all_tests_ran) {
  const auto seen = openapi().seen();
  const auto documented = openapi().documented();
  std::size_t missing = 0;
  for (const DocumentedAnswer& answer : documented) {
    const bool excused =
        std::any_of(std::begin(never_seen), std::end(never_seen),
                    [&](const auto& entry) { return entry.status == answer.status; });
    if (excused || seen.contains(answer)) continue;
    ++missing;
    if (all_tests_ran) ADD_FAILURE() << "documented, but no test saw it: " << answer.str();
  }
  std::cout << "OpenAPI: " << documented.size() << " answers are documented, " << seen.size()
            << " were seen, " << missing << " weren't";
  for (const auto& [status, why] : never_seen) std::cout << "; left out: " << status << ", " << why;
  std::cout << '\n';
}

}  // namespace

void ApiEnvironment::TearDown() {
  expect_quiet_shared_server();
  if (openapi_slot() != nullptr) {
    const bool all = ::testing::GTEST_FLAG(filter) == "*" && !std::getenv("GTEST_TOTAL_SHARDS");
    compare_promised_with_seen(all);
  }
  if (shared_server_slot() != nullptr) {
    EXPECT_EQ(shared_server_slot()->stop(), exited(0)) << shared_server_slot()->log();
    shared_server_slot().reset();
  }
}

double metric(ApiUser& user, const std::string& name) {
  std::istringstream lines{user.send("GET", "/metrics").then(200).body()};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ' ')) return std::stod(line.substr(name.size() + 1));
  }
  return -1;
}

}  // namespace contactd::test
