#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <concepts>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>

#include "tests/support/http_client.hpp"
#include "tests/support/openapi_document.hpp"
#include "tests/support/server_process.hpp"

// What tests of the HTTP contract are written in: users of the API, and what they are answered.
namespace contactd::test {

// A JSON string.
inline boost::json::value text(std::string_view value) { return boost::json::string{value}; }

// A response and what a test expects of it. Each expectation that isn't met is a failure at the
// line of the test; the rest is still looked at.
class Answer {
 public:
  using Where = std::source_location;

  explicit Answer(Exchange exchange) : exchange_(std::move(exchange)) {}

  const Answer& then(unsigned status, Where where = Where::current()) const;
  // Of the contact in `data`.
  const Answer& with_field(std::string_view name, const boost::json::value& expected,
                           Where where = Where::current()) const;
  // Of the body.
  const Answer& with_member(std::string_view name, const boost::json::value& expected,
                            Where where = Where::current()) const;
  const Answer& with_field(std::string_view name, const std::same_as<std::string> auto& expected,
                           Where where = Where::current()) const {
    return with_field(name, text(expected), where);
  }
  const Answer& with_member(std::string_view name, const std::same_as<std::string> auto& expected,
                            Where where = Where::current()) const {
    return with_member(name, text(expected), where);
  }
  const Answer& with_error(std::string_view sentence, Where where = Where::current()) const;
  const Answer& with_error_naming(std::string_view part, Where where = Where::current()) const;
  const Answer& with_form_error(std::string_view sentence, Where where = Where::current()) const;
  const Answer& with_field_error(std::string_view field, std::string_view sentence,
                                 Where where = Where::current()) const;
  const Answer& with_header(std::string_view name, std::string_view value,
                            Where where = Where::current()) const;
  const Answer& with_header(std::string_view name, Where where = Where::current()) const;
  const Answer& without_header(std::string_view name, Where where = Where::current()) const;

  const Exchange& exchange() const { return exchange_; }
  const Response& response() const { return exchange_.response; }
  unsigned status() const { return response().status; }
  const std::string& body() const { return response().body; }
  boost::json::value json() const { return response().json(); }
  // The contact in `data`, or an empty object where there is none.
  boost::json::object data() const;
  std::string field(std::string_view name) const;  // of `data`; as JSON
  std::string etag() const { return response().header("ETag").value_or(""); }

 private:
  boost::json::value member_at(std::string_view pointer) const;
  void expect(bool met, const std::string& expected, Where where) const;

  Exchange exchange_;
};

struct Contact {
  std::string id;
  std::string etag;
  boost::json::object data;
};

// Where a contact is.
std::string contact_path(std::string_view id);

// A client with a key. Every answer is checked against the server's own OpenAPI document.
// Threads: one at a time.
class ApiUser {
 public:
  ApiUser(std::uint16_t port, std::string key, std::string organization = {})
      : client_(port), key_(std::move(key)), organization_(std::move(organization)) {}

  // A body is sent as application/json where `headers` don't say otherwise, and with the key.
  Answer send(std::string_view method, std::string_view target, const Headers& headers = {},
              const std::optional<std::string>& body = std::nullopt);

  Answer create(const std::string& body, const Headers& headers = {});
  Answer read(std::string_view id, const Headers& headers = {});
  Answer patch(std::string_view id, const std::string& body, const Headers& headers = {});
  Answer remove(std::string_view id, const Headers& headers = {});
  // `query` is what follows the question mark.
  Answer list(std::string_view query = {});

  // Creates a contact; it is a failure where that doesn't succeed.
  Contact given_contact(const std::string& body = "{}");
  // Sends and expects 200; the contact afterwards.
  Contact given_patched(std::string_view id, const std::string& body);

  const std::string& key() const { return key_; }
  const std::string& organization() const { return organization_; }
  // The same user, on a server that listens elsewhere now.
  void move_to(std::uint16_t port) { client_ = HttpClient{port}; }

 private:
  HttpClient client_;
  std::string key_;
  std::string organization_;
};

// The server that the tests share which need no flags of their own; started when first asked for.
ServerProcess& shared_server();

// The document of the shared server, which is that of every server of the same binary.
OpenApiDocument& openapi();

// Checks the exchange against the document; each complaint is a failure.
void expect_documented(const Exchange& exchange);

// A name that no other test of this process has.
std::string new_organization();

ApiUser admin_of(const ServerProcess& server);
// A user of a new organization, or of the given one, with a new key of that scope.
ApiUser given_user(const ServerProcess& server, std::string_view scope = "write",
                   std::optional<std::string> organization = std::nullopt);

// Sends exactly these bytes on a connection of their own and reads one response.
Response send_raw(std::uint16_t port, std::string_view bytes);

struct Request {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;
};

// Sends all the requests at the same moment, each on a connection of its own; returns the
// responses in the same order. A request without a response is a failure, and its status is 0.
std::vector<Response> send_at_once(std::uint16_t port, const std::vector<Request>& requests);

// At the end of all tests: what the document promises must have been seen, and the shared server
// must end with exit code 0 when it is told to.
class ApiEnvironment : public ::testing::Environment {
 public:
  void TearDown() override;
};

// The value of a metric without labels; -1 where it isn't there.
double metric(ApiUser& user, const std::string& name);

// A test with a user who may write, in an organization of its own, on the shared server.
class ApiTest : public ::testing::Test {
 protected:
  ApiUser user = given_user(shared_server());
};

}  // namespace contactd::test
